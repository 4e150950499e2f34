"""The public keys of tokens, at the address where they are published."""

from __future__ import annotations

from typing import NamedTuple

from daena_mesh.errors import ConfigurationError
from daena_mesh.fetching import FetchFailed, checked_url, fetch
from mesh_cli.doctor.finding import Finding, fine, problem


class Keys(NamedTuple):
    """What is published, or the reason why it cannot be had."""

    kinds: tuple[str, ...] = ()
    reason: str = ""


async def look_at_keys(url: str) -> Keys:
    """Fetch them as an edge does."""
    from daena_mesh.public_keys import read_jwks

    try:
        checked_url(url)
        return Keys(tuple(key.alg for key in read_jwks(await fetch(url))))
    except (ConfigurationError, FetchFailed, ValueError) as error:
        return Keys(reason=str(error))


def judge_keys(keys: Keys) -> list[Finding]:
    """Whether there are some."""
    if keys.reason:
        mend = "until it answers, tokens of new keys are refused, and after a day all that need it"
        return [problem("public keys", f"MESH_JWKS_URL: {keys.reason}", mend)]
    counted = ", ".join(f"{kind} x {keys.kinds.count(kind)}" for kind in sorted(set(keys.kinds)))
    return [fine("public keys", f"MESH_JWKS_URL publishes {counted}")]
