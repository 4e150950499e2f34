"""Cursors that requests give back."""

from __future__ import annotations

from daena_mesh.cursors import Cursor
from daena_mesh.errors import InvalidCursor
from daena_mesh.layout import LETTERS
from mesh_api.context import Context


def seq_of(context: Context, stream: str, text: str, what: str) -> int:
    """The sequence of a cursor of ``stream`` that this mesh has given out; raises `InvalidCursor`."""
    cursor = Cursor.parse(text)
    epoch = context.mesh.log.epochs.get(stream)
    if cursor.letter != LETTERS[stream] or (epoch is not None and cursor.epoch != epoch.name):
        raise InvalidCursor(f"{what} {text!r} is a cursor of another log, or of one that was made anew since")
    return cursor.seq
