"""`mesh edge --workers N`: edge processes on one port, started, watched and ended as one."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from daena_mesh.settings import load
from mesh_cli.children import Children, edge
from mesh_cli.listening import CannotServe, announce, bind
from mesh_cli.stopping import Stop
from mesh_edge.settings import EdgeSettings
from mesh_edge.siblings import MOST_PATH_BYTES, Siblings


async def serve_workers(count: int, *, host: str, port: int, nats_url: str, verbose: bool = False) -> int:
    """Serve an edge by ``count`` processes until asked to stop.

    The system spreads connections over them (``SO_REUSEPORT``). One that dies is started again; its clients come back
    to the others meanwhile.

    Args:
        count: how many.
        host: address of this machine; see `bind`.
        port: 0 takes a free one.
        nats_url: NATS servers, separated by commas.
        verbose: whether the workers log more than warnings.

    Returns:
        The exit code: 0 after a stop that was asked for, 128 + signal where that came before they were started.

    Raises:
        MeshError: they cannot be started, or a setting is wrong.
    """
    stop = Stop()
    try:
        settings = load(EdgeSettings)
        listener = bind(host, port, is_shared=True)
        with listener.socket, tempfile.TemporaryDirectory(prefix="mesh-edge-") as folder:
            stop.before_the_end = partial(shutil.rmtree, folder, ignore_errors=True)
            if len(folder) > MOST_PATH_BYTES - 4:
                raise CannotServe(f"{folder} is too long a path for Unix sockets: set TMPDIR to a shorter one")
            workers = []
            for number in range(1, count + 1):
                arguments = ("--worker", str(Siblings(Path(folder), number, count)))
                workers.append(edge(listener, *arguments, name=f"edge's worker {number}"))
            edges = Children(workers, nats_url, verbose=verbose)
            edges.drain_s = settings.drain_s

            async def ready() -> None:
                sys.stdout.write(f"edge ready at {listener.url}, {count} workers\n")
                sys.stdout.flush()

            announcing = None
            try:
                await edges.start()
                stop.started()
                announcing = asyncio.create_task(announce(listener, ready), name="readiness")
                await stop.asked.wait()
            finally:
                if announcing is not None:
                    announcing.cancel()
                await edges.stop()
    except asyncio.CancelledError:
        if stop.number is None:
            raise
        return stop.exit_code
    return 0
