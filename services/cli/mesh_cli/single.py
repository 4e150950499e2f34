"""`mesh api` and `mesh edge`: one service of the mesh in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable

from fastapi import FastAPI

from mesh_cli.apps import drain
from mesh_cli.listening import bind, listener_of
from mesh_cli.serve import serve
from mesh_cli.stopping import Stop
from mesh_edge.siblings import Siblings


async def serve_alone(
    name: str,
    make_app: Callable[[str], FastAPI],
    *,
    host: str,
    port: int,
    nats_url: str,
    inherit: int | None = None,
    siblings: Siblings | None = None,
) -> int:
    """Serve one application until it is asked to stop.

    Args:
        name: what it is called in the line that says it is ready.
        make_app: makes it, given the URL of NATS (empty: found by itself).
        host: address of this machine; see `bind`.
        port: 0 takes a free one.
        nats_url: NATS servers, separated by commas.
        inherit: a socket to listen on instead, as a child that ends with its standard input.
        siblings: the processes that share the port of that socket; their parent says when all are ready.

    Returns:
        The exit code: 0 after a stop that was asked for, 128 + signal where that came before it was ready.
    """
    stop = Stop()
    try:
        if inherit is None:
            listener = bind(host, port)
        else:
            listener = listener_of(socket.socket(fileno=inherit), host)
            stop.when_stdin_closes()
        app = make_app(nats_url)

        async def ready() -> None:
            if inherit is None:
                sys.stdout.write(f"{name} ready at {listener.url}\n")
                sys.stdout.flush()

        async def drained() -> None:
            await drain(app)

        await serve(app, listener, stop, on_ready=None if siblings else ready, drain=drained)
        if siblings and stop.is_orphan:
            siblings.remove()
    except asyncio.CancelledError:
        if stop.number is None:
            raise
        return stop.exit_code
    return 0
