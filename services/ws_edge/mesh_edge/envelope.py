"""One event as clients see it: the body as it was stored, with its position spliced in.

It is made once for each topic, and the same bytes go to every socket. Apart from ``prev`` a live one and a replayed one
are the same.
"""

from __future__ import annotations

from daena_mesh import codec
from daena_mesh.codec import Poison
from daena_mesh.stored import Stored, kind_of

NOTICE = "system.notice"
_PLAIN = b'{"topic":"%b","cursor":"%b","subject":"%b",'
_CHAINED = b'{"topic":"%b","cursor":"%b","prev":"%b","subject":"%b",'
_NOTICE = b'{"topic":"%b","subject":"%b",'


def event_text(topic: bytes, message: Stored, epoch: bytes, prev: int | None, most_bytes: int) -> bytes:
    """A stored message as JSON; ``epoch`` is how its stream's cursors begin, such as ``Rk3f-``.

    ``prev`` is the sequence of the event before it on this topic, None for one read from the log. A notice has no
    position. Raises `Poison` for what is no event.
    """
    if (kind := kind_of(message.subject)) is None:
        raise Poison("its subject breaks the grammar")
    envelope = codec.check(message.body, kind.event_type, most_bytes)
    cursor = b"%b%d" % (epoch, message.seq)
    if kind.event_type == NOTICE:
        head = _NOTICE % (topic, message.subject)
    elif prev is None:
        head = _PLAIN % (topic, cursor, message.subject)
    else:
        head = _CHAINED % (topic, cursor, b"%b%d" % (epoch, prev), message.subject)
    return codec.splice(
        head,
        message.body,
        envelope,
        event_type=kind.event_type.encode(),
        event_id=message.msg_id or cursor,
        time=message.time,
    )


def is_notice(message: Stored) -> bool:
    """Whether it is a notice: shown, but without a position."""
    kind = kind_of(message.subject)
    return kind is not None and kind.event_type == NOTICE
