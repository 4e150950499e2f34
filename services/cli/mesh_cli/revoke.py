"""`mesh revoke`: tokens that are refused from now on, on every edge and API."""

from __future__ import annotations

import math
import sys
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error

import msgspec

from daena_mesh.errors import InvalidQuery
from daena_mesh.mesh import Mesh
from daena_mesh.revocations import revoke as write
from daena_mesh.revocations import token_id
from mesh_cli.emit import WAIT_S

_MOST_USER = 256


class _Said(msgspec.Struct):
    exp: float = math.inf


def expiry_of(text: str) -> float | None:
    """Until when the token ``text`` is good, as it says itself; None for what is no token but a user's name."""
    parts = text.split(".")
    if len(parts) != 3 or not text.startswith("eyJ") or not token_id(text):
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(parts[1] + "=="), type=_Said).exp
    except (Base64Error, msgspec.DecodeError, UnicodeDecodeError):
        return None


async def revoke(text: str, *, nats_url: str | None) -> int:
    """Revoke the token ``text``, or all that its user has by now; ``-``: what standard input holds.

    Raises:
        MeshError: no NATS, or no user's name.
    """
    text = sys.stdin.read().strip() if text == "-" else text
    exp = expiry_of(text)
    if exp is None and not 1 <= len(text) <= _MOST_USER:
        raise InvalidQuery(f"a user is named by 1 to {_MOST_USER} characters")
    async with Mesh.connect(nats_url, name="mesh-revoke", wait_s=WAIT_S) as mesh:
        if exp is None:
            await write(mesh, user=text)
            said = f"all tokens of {text!a} that were made by now are refused"
        else:
            await write(mesh, token=token_id(text), exp=exp)
            said = "the token is refused"
    sys.stdout.write(f"{said}\n")
    return 0
