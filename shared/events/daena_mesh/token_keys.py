"""The keys of tokens as they are configured: secrets and public keys, from variables, a file and an address."""

from __future__ import annotations

import logging
import re
import stat
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from daena_mesh.errors import ConfigurationError
from daena_mesh.metrics import Metric, by, single
from daena_mesh.tokens import Keyring, TokenSettings

if TYPE_CHECKING:
    from daena_mesh.jwks import Jwks

_MOST_PEM = 64
_PEM = "-----BEGIN "
_pem_blocks = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----")
_log = logging.getLogger(__name__)


class Given(NamedTuple):
    """Keys as texts."""

    secrets: list[str]
    public: list[str]
    """Blocks of PEM."""


def keyring_of(settings: TokenSettings) -> Keyring | None:
    """The keyring, None where nothing is configured; raises `ConfigurationError`, which shows no key."""
    given = [key for key in (settings.token_key, settings.token_key_previous) if key]
    variable = "MESH_TOKEN_KEY"
    if settings.token_key_file:
        if given:
            raise ConfigurationError("MESH_TOKEN_KEY and MESH_TOKEN_KEY_FILE are both set: one of them must go")
        variable = "MESH_TOKEN_KEY_FILE"
        given = [read_key_file(settings.token_key_file, variable)]
    elif given and not settings.token_key:
        raise ConfigurationError("MESH_TOKEN_KEY_PREVIOUS is set, and MESH_TOKEN_KEY is not")
    elif not given and not settings.jwks_url:
        return None
    try:
        secrets, blocks = sorted_out(given, in_lines=bool(settings.token_key_file))
        source = _source(settings) if settings.jwks_url else None
        public = None
        if blocks or source:
            from daena_mesh.public_keys import PublicKeys, read_pem

            public = PublicKeys([read_pem(block) for block in blocks], source)
        keys = [key.encode() for key in secrets]
        return Keyring(keys, public=public, issuer=settings.token_issuer, audience=settings.token_audience)
    except ConfigurationError as error:
        text = str(error)
        raise ConfigurationError(text if text.startswith("MESH_") else f"{variable}: {text}") from None
    except ImportError:
        raise ConfigurationError(
            f"{'MESH_JWKS_URL' if settings.jwks_url else variable}: public keys need PyJWT with cryptography; "
            "`pip install 'daena-mesh[server]'` brings them"
        ) from None


def key_metrics(prefix: str, keyring: Keyring | None) -> list[Metric]:
    """What is to be known of public keys that are fetched: none are, and never, where none are to be."""
    source = None if keyring is None else keyring.source
    fetches, failures, count = (source.fetches, source.failures, len(source.keys)) if source else (0, 0, 0)
    return [
        single(f"{prefix}_public_keys", "gauge", "Public keys of tokens that were fetched and count.", count),
        by(
            "outcome",
            f"{prefix}_public_key_fetches_total",
            "counter",
            "Times they were asked for at MESH_JWKS_URL.",
            {"ok": fetches - failures, "failed": failures},
        ),
    ]


def _source(settings: TokenSettings) -> Jwks:
    from daena_mesh.jwks import Jwks

    return Jwks(settings.jwks_url, refresh_s=settings.jwks_refresh_s)


def sorted_out(texts: list[str], *, in_lines: bool) -> Given:
    """Tell public keys from secrets: what says that it is PEM is never taken for a secret.

    Raises `ConfigurationError`.
    """
    given = Given([], [])
    for text in texts:
        if _PEM in text or "-----END " in text:
            whole = text.replace("\\n", "\n")  # as variables have it that are written in one line
            blocks = [found[0] for found in _pem_blocks.finditer(whole)]
            if not 1 <= len(blocks) <= _MOST_PEM or _pem_blocks.sub("", whole).strip():
                raise ConfigurationError("there is something beside whole blocks of PEM")
            given.public.extend(blocks)
        else:
            lines = [line.strip() for line in text.splitlines()] if in_lines else [text]
            given.secrets.extend(line for line in lines if line)
    if any(secret.startswith(("ssh-", "ecdsa-sha2-", "{")) for secret in given.secrets):
        raise ConfigurationError("this is a public key in another form than PEM; `ssh-keygen -e -m pkcs8` changes it")
    return given


def read_key_file(path: str, named: str) -> str:
    """What is in a file of keys, of which others may read only what is public; raises `ConfigurationError`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        mode = stat.S_IMODE(Path(path).stat().st_mode)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(f"{named}: {path!a} cannot be read: {why}") from None
    if mode & 0o077 and "PUBLIC KEY" not in text:
        _warn_of_mode(path, named, mode)
    return text


@cache  # the API and the edge of one process read the same file
def _warn_of_mode(path: str, named: str, mode: int) -> None:
    _log.warning("%s: %a may be read by others (mode %04o); `chmod 600` keeps the key to its owner", named, path, mode)
