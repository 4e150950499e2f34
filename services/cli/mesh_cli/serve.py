"""Serving an application with uvicorn: ready when it says so, drained before it is closed."""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from fastapi import FastAPI

from daena_mesh.origin import OriginSettings
from daena_mesh.settings import load
from mesh_cli.http_heads import BoundedHeads
from mesh_cli.listening import Listener, announce
from mesh_cli.stopping import Stop
from mesh_edge.door import Door
from mesh_edge.forwarded import ForwardedHeaders
from mesh_edge.protocol import HandoverProtocol

REQUESTS_END_WITHIN_S = 3
_KEEP_ALIVE_S = 15
_LINE_WITHIN_S = 1.0
_ARRIVED_WITHIN_S = 1.0
_POLL_S = 0.02


async def serve(
    app: FastAPI,
    listener: Listener,
    stop: Stop,
    *,
    on_ready: Callable[[], Awaitable[None]] | None,
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Serve ``app`` until ``stop`` is asked for, then drain it and close.

    Args:
        app: run with its lifespan; what that raises comes out of here.
        listener: where.
        stop: asks for the end.
        on_ready: awaited once, when ``/readyz`` answers 200; None where somebody else asks for that.
        drain: awaited before any connection is closed.
    """
    async with app.router.lifespan_context(app):
        settings = load(OriginSettings)
        by_forwarded = settings.proxy_header == "forwarded"
        config = uvicorn.Config(
            ForwardedHeaders(app, settings.trusted_proxies) if by_forwarded else app,  # type: ignore[arg-type] # ASGI's
            lifespan="off",
            http=front_door(settings.handshake_within_s),
            ws=HandoverProtocol,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
            timeout_keep_alive=_KEEP_ALIVE_S,
            proxy_headers=not by_forwarded,
            forwarded_allow_ips=settings.trusted_proxies,
            access_log=False,
            server_header=False,
            log_config=None,
        )
        server = _Server(config)
        stop.started()
        serving = asyncio.create_task(server.serve([listener.socket]), name="uvicorn")
        asked = asyncio.create_task(stop.asked.wait(), name="stop")
        waiting = {serving, asked}
        if on_ready is not None:
            waiting.add(asyncio.create_task(announce(listener, on_ready), name="readiness"))
        try:
            while not (serving.done() or asked.done()):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            if not serving.done():
                await asyncio.gather(drain(), server.stop_accepting())
                await server.answer_who_arrived()
        finally:
            for task in waiting - {serving}:
                task.cancel()
            server.should_exit = True
            await serving


class FrontDoor(Door):
    """Answers plain WebSocket handshakes; all else has bounds on its heads."""

    usual = BoundedHeads


def front_door(head_within_s: float) -> type[FrontDoor]:
    """The same, where a head may take so long: uvicorn makes one for each connection, and tells it nothing of us."""
    usual = type("Heads", (BoundedHeads,), {"head_within_s": head_within_s})
    return type("Front", (FrontDoor,), {"__slots__": (), "head_within_s": head_within_s, "usual": usual})


class _Server(uvicorn.Server):
    """uvicorn's server, with signals left to `Stop`: it would close sockets before they are drained."""

    async def stop_accepting(self) -> None:
        """Close the door behind those who wait in front of it; who is inside stays.

        The system resets connections that wait in line at a socket that is closed.
        """
        for server in self.servers:
            line = select.poll()
            for listening in server.sockets:
                line.register(listening.fileno(), select.POLLIN)
            empty_turns = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LINE_WITHIN_S):
                    # Two, for asyncio makes a transport one turn after it accepted, if the server is still open then.
                    while (empty_turns := 0 if line.poll(0) else empty_turns + 1) < 2:  # noqa: ASYNC110
                        await asyncio.sleep(0)
            server.close()

    async def answer_who_arrived(self) -> None:
        """Wait, for a moment, until those who came last have asked and were answered; uvicorn would cut them off."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ARRIVED_WITHIN_S):
                while any(map(_has_just_come, self.server_state.connections)):  # noqa: ASYNC110 - uvicorn does not tell
                    await asyncio.sleep(_POLL_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _has_just_come(connection: object) -> bool:
    """Whether a connection still has to ask for the first time, or is in the middle of a WebSocket's handshake."""
    if isinstance(connection, HandoverProtocol):
        return not connection.handshake_complete
    return isinstance(connection, Door) or (isinstance(connection, BoundedHeads) and connection.cycle is None)
