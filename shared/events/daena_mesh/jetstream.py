"""Calls of JetStream's API: a JSON request on ``$JS.API.<verb>``, a JSON answer with an error in it or without one.

Codes are those of nats-server's ``server/errors.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable
from daena_mesh.repeats import Repeat

NO_MESSAGE = 10037
NAME_IN_USE = 10058
NO_STREAM = 10059


class ApiError(msgspec.Struct):
    """What JetStream objects to."""

    code: int
    err_code: int = 0
    description: str = ""


class ApiReply(msgspec.Struct):
    """The part that all answers have in common."""

    error: ApiError | None = None


AnyReply = TypeVar("AnyReply", bound=ApiReply)


async def call(
    connection: Connection,
    verb: str,
    request: Mapping[str, object],
    reply_type: type[AnyReply],
    *,
    timeout_s: float = 5.0,
) -> AnyReply:
    """Ask, and give the answer, which may be an error; raises `MeshUnavailable` without one.

    Asking twice must be the same as asking once: while a cluster chooses a leader nobody answers, so it is asked again.
    """
    body = msgspec.json.encode(request)
    return await asked(connection, f"$JS.API.{verb}", body, reply_type, timeout_s=timeout_s)


async def asked(
    connection: Connection, subject: str, body: bytes, reply_type: type[AnyReply], *, timeout_s: float
) -> AnyReply:
    """The answer to what is asked on ``subject``, by JetStream or by who speaks for it; raises `MeshUnavailable`."""
    reply = await connection.request(subject, body, timeout_s=timeout_s, repeat=Repeat.OFTEN)
    if reply.headers:
        raise MeshUnavailable("JetStream does not answer: is it enabled on the server, and for this account?")
    return msgspec.json.decode(reply.body, type=reply_type)
