"""What lies in the queue of questions, as an API reads it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from daena_mesh.asks import Ask, read_ask
from daena_mesh.connection import Connection
from daena_mesh.errors import InvalidEvent, MeshUnavailable
from daena_mesh.jetstream import NO_MESSAGE, ApiReply, call
from daena_mesh.provisioning import ASKS
from daena_mesh.stored import Stored

_NOT_FOUND = 10057


class Queued(NamedTuple):
    """A question in the queue; ``ask`` is None for what is none."""

    seq: int
    asked_at: datetime
    ask: Ask | None
    subject: str = ""


def queued_of(message: Stored) -> Queued:
    """What lies in the queue."""
    asked_at, subject = datetime.fromisoformat(message.time.decode()), message.subject.decode("ascii", "replace")
    try:
        ask = read_ask(message)
    except (InvalidEvent, UnicodeDecodeError):
        return Queued(message.seq, asked_at, None, subject)
    return Queued(message.seq, asked_at, ask, subject)


async def remove(connection: Connection, seq: int) -> None:
    """Take a question out of the queue, if it is still there; raises `MeshUnavailable`."""
    answer = await call(connection, f"STREAM.MSG.DELETE.{ASKS}", {"seq": seq, "no_erase": True}, ApiReply)
    if answer.error is not None and answer.error.err_code not in {NO_MESSAGE, _NOT_FOUND}:
        raise MeshUnavailable(f"the question at {seq} cannot be removed: {answer.error.description}")
