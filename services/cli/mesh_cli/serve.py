"""Serving an application with uvicorn: ready when it says so, drained before it is closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from fastapi import FastAPI

from mesh_cli.http_heads import BoundedHeads
from mesh_cli.listening import Listener, until_ready
from mesh_cli.stopping import Stop
from mesh_edge.protocol import HandoverProtocol

REQUESTS_END_WITHIN_S = 3
_KEEP_ALIVE_S = 15
_SAYS_SO_AFTER_S = 3.0
_log = logging.getLogger(__name__)


async def serve(
    app: FastAPI,
    listener: Listener,
    stop: Stop,
    *,
    on_ready: Callable[[], Awaitable[None]],
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Serve ``app`` until ``stop`` is asked for, then drain it and close.

    Args:
        app: run with its lifespan; what that raises comes out of here.
        listener: where.
        stop: asks for the end.
        on_ready: awaited once, when ``/readyz`` answers 200.
        drain: awaited before any connection is closed.
    """
    async with app.router.lifespan_context(app):
        config = uvicorn.Config(
            app,
            lifespan="off",
            http=BoundedHeads,
            ws=HandoverProtocol,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
            timeout_keep_alive=_KEEP_ALIVE_S,
            access_log=False,
            server_header=False,
            log_config=None,
        )
        server = _Server(config)
        stop.started()
        serving = asyncio.create_task(server.serve([listener.socket]), name="uvicorn")
        readiness = asyncio.create_task(_announce(listener, on_ready), name="readiness")
        asked = asyncio.create_task(stop.asked.wait(), name="stop")
        try:
            done, _ = await asyncio.wait({serving, asked, readiness}, return_when=asyncio.FIRST_COMPLETED)
            if readiness in done:
                await readiness
                await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                server.stop_accepting()
                await drain()
        finally:
            readiness.cancel()
            asked.cancel()
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    """uvicorn's server, with signals left to `Stop`: it would close sockets before they are drained."""

    def stop_accepting(self) -> None:
        """Close the door; who is inside stays."""
        for listening in self.servers:
            listening.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _announce(listener: Listener, on_ready: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(_SAYS_SO_AFTER_S):
            await until_ready(listener)
    except TimeoutError:
        _log.warning("%s is not ready yet, and waits; %s/readyz says for what", listener.url, listener.url)
        await until_ready(listener)
    await on_ready()
