"""Cursors that requests give back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from daena_mesh.cursors import Cursor, Positions
from daena_mesh.errors import InvalidCursor
from daena_mesh.layout import LETTERS, RECORDS, SIGNALS

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh
    from mesh_api.context import Context
    from mesh_api.text_streams import TextStream


def seq_of(context: Context, stream: str, text: str, what: str) -> int:
    """The sequence of a cursor of ``stream`` that this mesh has given out; raises `InvalidCursor`."""
    cursor = Cursor.parse(text)
    epoch = context.mesh.log.epochs.get(stream)
    if cursor.letter != LETTERS[stream] or (epoch is not None and cursor.epoch != epoch.name):
        raise InvalidCursor(f"{what} {text!r} is a cursor of another log, or of one that was made anew since")
    return cursor.seq


async def positions_of(mesh: Mesh) -> Positions:
    """Where both streams stand now; raises `MeshUnavailable`."""
    log = mesh.log
    bounds = [await log.bounds(stream) for stream in (RECORDS, SIGNALS)]
    return Positions(log.position(stream, last) for stream, (_, last) in zip((RECORDS, SIGNALS), bounds, strict=True))


def before(cursors: Positions, unfinished: Iterable[TextStream]) -> Positions:
    """Where a reader must begin to be shown all pieces of what is being written."""
    signals = LETTERS[SIGNALS]
    first = min((stream.first_seq - 1 for stream in unfinished), default=cursors[signals].seq)
    here = cursors[signals]
    return Positions({**cursors, signals: here._replace(seq=min(here.seq, first))}.values())
