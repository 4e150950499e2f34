"""Connections to NATS of a test's own, without streams and without a mesh."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from daena_mesh.connection import Connection


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
