"""`mesh tail`: events as lines, while they happen."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterable
from pathlib import Path

from rich.console import Console

from daena_mesh.cursors import Positions
from daena_mesh.events import Event
from daena_mesh.feed import Gap
from daena_mesh.mesh import Mesh
from daena_mesh.subjects import check_pattern
from mesh_cli.edge_tail import follow_edge
from mesh_cli.logs import log_to_stderr
from mesh_cli.rendering import event_json, event_line, gap_json, gap_line
from mesh_cli.system_tail import follow_servers, is_of_the_servers


async def tail(
    pattern: str,
    *,
    since: str | None,
    as_json: bool,
    nats_url: str | None,
    edge: str | None = None,
    token_file: Path | None = None,
) -> int:
    """Print what matches ``pattern``, until the process is interrupted.

    Of the edge at ``edge``, where that is given, with the token in ``token_file``.

    Raises:
        MeshError: a bad pattern or cursor, or no NATS.
        BrokenPipeError: whoever read the lines has gone.
    """
    if edge is not None:
        positions = Positions.parse(since) if since else None
        items = follow_edge(pattern, positions, url=edge, token_file=token_file)
        log_to_stderr()
        following = asyncio.create_task(_print(items, as_json=as_json))
    elif is_of_the_servers(pattern):
        following = asyncio.create_task(follow_servers(pattern, as_json=as_json, nats_url=nats_url))
    else:
        check_pattern(pattern)
        positions = Positions.parse(since) if since else None
        following = asyncio.create_task(_follow(pattern, positions, as_json=as_json, nats_url=nats_url))
    reader_gone = asyncio.Event()
    _watch_reader(reader_gone)
    gone = asyncio.create_task(reader_gone.wait())
    try:
        await asyncio.wait({following, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not following.done():
            raise BrokenPipeError
        await following
    finally:
        following.cancel()
        gone.cancel()
        await asyncio.gather(following, gone, return_exceptions=True)
    return 0


async def _follow(pattern: str, since: Positions | None, *, as_json: bool, nats_url: str | None) -> None:
    async with Mesh.connect(nats_url, name="mesh-tail") as mesh:
        log_to_stderr()  # from here on it tells when the connection is lost
        await _print(mesh.subscribe(pattern, since=since), as_json=as_json)


async def _print(items: AsyncIterable[Event | Gap], *, as_json: bool) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    async for item in items:
        if as_json:
            sys.stdout.write((gap_json(item) if isinstance(item, Gap) else event_json(item)) + "\n")
            sys.stdout.flush()
        else:
            console.print(gap_line(item) if isinstance(item, Gap) else event_line(item))


def _watch_reader(gone: asyncio.Event) -> None:
    """Set ``gone`` when the other end of the pipe that we write to is closed, also while there is nothing to say."""
    descriptor = sys.stdout.fileno()
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return
    loop = asyncio.get_running_loop()

    def closed() -> None:  # a pipe that is only written to never gets readable: what wakes us is its error
        loop.remove_reader(descriptor)
        gone.set()

    loop.add_reader(descriptor, closed)
