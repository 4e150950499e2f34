"""Connections to NATS of a test's own, without streams and without a mesh."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable


@asynccontextmanager
async def connected(*urls: str, name: str = "test", **options: Any) -> AsyncIterator[Connection]:
    """Connect for a block, to the first of ``urls`` that will do; ``options`` are those of `Connection`."""
    connection = Connection(urls, name=name, **options)
    connection.start()
    try:
        await connection.wait_ready(20)
        yield connection
    finally:
        await connection.close()


async def stream_api(
    connection: Connection, verb: str, request: object = None, *, timeout_s: float = 5
) -> dict[str, Any]:
    """Ask JetStream about a stream, or for one: ``verb`` is such as ``INFO.RECORDS``. Raises `MeshUnavailable`."""
    reply = await connection.request(f"$JS.API.STREAM.{verb}", msgspec.json.encode(request or {}), timeout_s=timeout_s)
    answer: dict[str, Any] = msgspec.json.decode(reply.body)
    return answer


async def leader_of(connection: Connection, stream: str) -> str:
    """The node that leads ``stream``; empty where nobody says so."""
    with suppress(MeshUnavailable):
        answer = await stream_api(connection, f"INFO.{stream}", timeout_s=2)
        return str(answer.get("cluster", {}).get("leader") or "")
    return ""
