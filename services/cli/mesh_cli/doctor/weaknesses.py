"""Settings that let in more than they have to, as far as the ``MESH_…`` variables and files of this machine show."""

from __future__ import annotations

import math
import os
import stat
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from daena_mesh.errors import ConfigurationError
from daena_mesh.fetching import is_loopback
from daena_mesh.origin import OriginPolicy
from daena_mesh.token_keys import read_key_file, sorted_out
from daena_mesh.tokens import LEAST_KEY_BYTES
from mesh_cli.doctor.finding import Finding, fine, problem, warning
from mesh_edge.settings import EdgeSettings

ENOUGH_BITS = 85
LONG_TOKEN_S = 30 * 86_400
_MOST_NAMED = 3
_MOST_FILES = 10_000
_PLACEHOLDERS = ("secret", "password", "changeme", "change-me", "example", "default", "0123456789", "qwertz", "qwerty")
_NEW_KEY = "make one with `openssl rand -base64 32`, and keep the old one as MESH_TOKEN_KEY_PREVIOUS for a while"


class Secret(NamedTuple):
    """What can be told of a key without telling it."""

    bits: float
    """How many a guesser has to guess, at most."""
    is_words: bool


class Files(NamedTuple):
    """Files of credentials and keys."""

    readable: Sequence[str]
    """Those that others may read or change."""
    found: int


def look_at_secrets(settings: EdgeSettings) -> list[Secret]:
    """Weigh the secrets of HS256; those that cannot be used are told of elsewhere."""
    try:
        if settings.token_key_file:
            given = sorted_out([read_key_file(settings.token_key_file, "")], in_lines=True)
        else:
            keys = [key for key in (settings.token_key, settings.token_key_previous) if key]
            given = sorted_out(keys, in_lines=False)
    except ConfigurationError:
        return []
    return [weigh(secret) for secret in given.secrets if len(secret.encode()) >= LEAST_KEY_BYTES]


def weigh(secret: str) -> Secret:
    """Guess how hard it is to guess: by its characters, by what repeats, and by whether it looks like words."""
    text = secret.encode()
    counts = Counter(text).values()
    by_characters = -sum(count * math.log2(count / len(text)) for count in counts)
    by_patterns = 8.0 * max(0, len(zlib.compress(text, 9)) - 8)
    letters = [character for character in secret if character.isalpha()]
    is_cased = any(character.isupper() for character in letters[1:])
    is_words = not any(character.isdigit() for character in secret) and not is_cased
    is_words = is_words or any(word in secret.lower() for word in _PLACEHOLDERS)
    return Secret(min(by_characters, by_patterns), is_words)


def look_at_files(settings: EdgeSettings, data_dir: Path) -> Files:
    """Find the files that hold keys, and those of them that others may open."""
    named = [Path(path) for path in (settings.nats_creds, settings.token_key_file) if path]
    found = [path for path in [*named, *_below(data_dir / "creds")] if path.is_file()]
    return Files([str(path) for path in found if _is_open(path)], len(found))


def _below(folder: Path) -> Iterator[Path]:
    count = 0
    for root, _, names in os.walk(folder):
        for name in names:
            if (count := count + 1) > _MOST_FILES:
                return
            yield Path(root, name)


def _is_open(path: Path) -> bool:
    if not stat.S_IMODE(path.stat().st_mode) & 0o077:
        return False
    try:
        return b"PUBLIC KEY" not in path.read_bytes()[:65_536]
    except OSError:
        return True


def judge_weaknesses(
    url: str, settings: EdgeSettings, secrets: Iterable[Secret], files: Files, longest_token_s: float
) -> list[Finding]:
    """Name what is weak, each with how to mend it; one line where nothing is."""
    parts = urlsplit(url)
    is_local = is_loopback(parts.hostname or "")
    asks = bool(settings.token_key or settings.token_key_file or settings.jwks_url)
    found = [
        *_of_keys(settings, secrets, is_local=is_local),
        *_of_origins(settings, is_local=is_local),
        *_of_files(files),
        *_of_tokens(settings, longest_token_s),
    ]
    if asks and parts.scheme == "http" and not is_local:
        mend = "put a proxy with TLS before it (deploy/nginx.conf), and say its https:// address with --url"
        found.append(problem("transport", f"tokens travel to {parts.hostname} so that everybody can read them", mend))
    return found or [fine("settings", "nothing weak in the MESH_ variables and files of this machine")]


def _of_keys(settings: EdgeSettings, secrets: Iterable[Secret], *, is_local: bool) -> Iterator[Finding]:
    secrets = list(secrets)
    weak = [secret for secret in secrets if secret.is_words or secret.bits < ENOUGH_BITS]
    if weak:
        why = "words that can be guessed" if weak[0].is_words else f"no more than {weak[0].bits:.0f} bits to guess"
        seen = f"a key of HS256 is {why}, from any token that it signed"
        yield problem("token key", seen, _NEW_KEY)
    if secrets and not settings.token_key_file and not is_local:
        seen = "the key is in the environment, which children, crash reports and whoever inspects a container see"
        yield warning("token key", seen, "write it to a file of mode 0600, and name that in MESH_TOKEN_KEY_FILE")
    if settings.jwks_url and not settings.token_audience:
        seen = "any token that the keys of MESH_JWKS_URL sign is believed, whoever it was made for"
        yield warning("token audience", seen, "have the login name this mesh in `aud`, and set MESH_TOKEN_AUDIENCE")
    if settings.jwks_url and not settings.token_issuer:
        seen = "a token may name any issuer"
        yield warning("token issuer", seen, "set MESH_TOKEN_ISSUER to the `iss` of the login behind MESH_JWKS_URL")


def _of_origins(settings: EdgeSettings, *, is_local: bool) -> Iterator[Finding]:
    listed = settings.listed_origins()
    mend = "list the exact origins of your pages, such as https://app.example"
    if "*" in listed:
        yield problem("origins", "MESH_ORIGINS is *, which no edge and no API starts with", mend)
    else:
        try:
            OriginPolicy(listed)
        except ConfigurationError as error:
            yield problem("origins", str(error), mend)
    plain = sorted(origin for origin in listed if origin.startswith("http://") and not _is_local(origin))
    if plain:
        seen = f"pages of {', '.join(plain[:_MOST_NAMED])} may come, which anybody on their way can change"
        yield warning("origins", seen, "serve them by https")
    if settings.trusted_proxies.strip() == "*" and not is_local:
        seen = "MESH_TRUSTED_PROXIES is *: whoever connects says from which address"
        yield warning("proxies", seen, "name the addresses of your proxies, or limits by address hold nobody")


def _of_files(files: Files) -> Iterator[Finding]:
    if files.readable:
        names = ", ".join(files.readable[:_MOST_NAMED])
        seen = f"{len(files.readable)} of {files.found} files with keys may be opened by others: {names}"
        yield problem("key files", seen, f"chmod 600 {names}")


def _of_tokens(settings: EdgeSettings, longest_token_s: float) -> Iterator[Finding]:
    if settings.token_in_query:
        seen = "tokens may come as ?token=, which proxies and access logs write down"
        yield warning("token in query", seen, "unset MESH_TOKEN_IN_QUERY; pages use subprotocols or the cookie")
    if longest_token_s > LONG_TOKEN_S:
        seen = f"the token of a socket is good for {longest_token_s / 86_400:.0f} more days, also if it is stolen"
        mend = "make tokens of hours, and let clients renew them (`getToken` of sdk/js)"
        yield warning("token lifetime", seen, mend)


def _is_local(origin: str) -> bool:
    return is_loopback(urlsplit(origin).hostname or "")
