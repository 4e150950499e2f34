"""What lies in the queue of questions, as an API reads it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from daena_mesh.asks import Ask, read_ask
from daena_mesh.errors import InvalidEvent
from daena_mesh.stored import Stored


class Queued(NamedTuple):
    """A question in the queue; ``ask`` is None for what is none."""

    seq: int
    asked_at: datetime
    ask: Ask | None
    subject: str = ""


def queued_of(message: Stored) -> Queued:
    """What lies in the queue."""
    asked_at, subject = datetime.fromisoformat(message.time.decode()), message.subject.decode("ascii", "replace")
    msg_id = message.msg_id
    try:
        ask = read_ask(subject, message.body, seq=message.seq, msg_id=msg_id.decode() if msg_id else None)
    except (InvalidEvent, UnicodeDecodeError):
        return Queued(message.seq, asked_at, None, subject)
    return Queued(message.seq, asked_at, ask, subject)
