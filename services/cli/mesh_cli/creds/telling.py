"""Telling servers what an account is now, as the user of the system's account."""

from __future__ import annotations

from typing import Any

import msgspec

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable
from daena_mesh.mesh import authority_of, whereabouts
from daena_mesh.settings import MeshSettings, load
from daena_mesh.vault import Vault

_UPDATE = "$SYS.REQ.CLAIMS.UPDATE"
_WITHIN_S = 3.0


class _Answer(msgspec.Struct):
    data: dict[str, Any] = {}
    error: dict[str, Any] | None = None


async def tell_servers(vault: Vault, jwt: str, name: str, *, nats_url: str | None) -> int:
    """Give ``jwt``, in which ``name`` is revoked, to all servers of a cluster through one of them.

    Returns:
        The exit code, 0.

    Raises:
        MeshUnavailable: none answers, or it refuses; the sentence says what to do.
    """
    settings = load(MeshSettings, nats_url=nats_url)
    urls, _ = whereabouts(settings)
    connection = Connection(
        urls, name="mesh-creds", credentials=str(vault.system_creds), authority=authority_of(settings)
    )
    connection.start()
    try:
        await connection.wait_ready(_WITHIN_S)
        reply = await connection.request(_UPDATE, jwt.encode(), timeout_s=_WITHIN_S)
        answer = msgspec.json.decode(reply.body, type=_Answer)
    except (MeshUnavailable, msgspec.DecodeError) as error:
        raise _untold(name, str(error)) from None
    finally:
        await connection.close()
    if answer.error is not None:
        raise _untold(name, str(answer.error.get("description", answer.error)))
    return 0


def _untold(name: str, reason: str) -> MeshUnavailable:
    return MeshUnavailable(
        f"{name} is revoked for servers that start from now on, but none that runs was told ({reason}): "
        "say where NATS is with --nats-url, and repeat this"
    )
