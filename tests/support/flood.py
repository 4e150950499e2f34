"""Many events, published as fast as a stream takes them."""

from __future__ import annotations

import asyncio

import msgspec

from daena_mesh import Mesh
from daena_mesh.subjects import event_type_of

_AT_ONCE = 250


async def flood(
    mesh: Mesh, subject: str, contents: range | list[int], *, pad_bytes: int = 0, pause_s: float = 0
) -> int:
    """Publish an event for each number; returns, once all are stored, the sequence of the last one.

    Each content is a number; ``pad_bytes`` makes the bodies larger. Every ``_AT_ONCE`` events are waited for, and then
    ``pause_s`` passes, so that others have their turn.
    """
    stream = mesh.layout.stream_of(subject)
    event_type = event_type_of(subject)
    pad = "x" * pad_bytes
    seq = 0
    numbers = list(contents)
    for begin in range(0, len(numbers), _AT_ONCE):
        *swift, last = numbers[begin : begin + _AT_ONCE]
        for number in swift:
            mesh.connection.publish(subject, _body(event_type, number, pad))
        # The one that is acknowledged was published last, so those before it are stored too.
        reply = await mesh.connection.request(subject, _body(event_type, last, pad), timeout_s=10)
        ack = msgspec.json.decode(reply.body)
        assert ack["stream"] == stream, ack
        seq = ack["seq"]
        await asyncio.sleep(pause_s)
    return seq


def _body(event_type: str, number: int, pad: str) -> bytes:
    return msgspec.json.encode({"event_type": event_type, "payload": {"content": number, "pad": pad}})
