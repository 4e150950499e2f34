"""What the API asks of JetStream beyond the log: to purge, to count, and the last message of every subject."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable
from daena_mesh.jetstream import AnyReply, ApiReply, call
from daena_mesh.stored import Stored, status_of

_TIMEOUT_S = 5.0
_SILENCE_S = 2.0
_IDLE_S = 30
_BATCH = 1_000
_BATCH_BYTES = 16_777_216
_NS = 1_000_000_000
_PAGE_SUBJECTS = 100_000
"""What nats-server puts into one answer at most."""


class _State(msgspec.Struct):
    last_seq: int = 0
    subjects: dict[str, int] | None = None


class _Info(ApiReply):
    state: _State = msgspec.field(default_factory=_State)
    total: int = 0
    ts: str = ""


class _Consumer(ApiReply):
    num_pending: int = 0


async def _ask(connection: Connection, verb: str, request: dict[str, Any], cls: type[AnyReply]) -> AnyReply:
    answer = await call(connection, verb, request, cls, timeout_s=_TIMEOUT_S)
    if answer.error is not None:
        raise MeshUnavailable(f"{verb}: {answer.error.description} ({answer.error.err_code})")
    return answer


async def purge(connection: Connection, stream: str, pattern: str, *, before: int = 0) -> None:
    """Remove for good what is on ``pattern``, or what of it lies before the sequence ``before``.

    Raises `MeshUnavailable`.
    """
    request = {"filter": pattern, **({"seq": before} if before else {})}
    await _ask(connection, f"STREAM.PURGE.{stream}", request, ApiReply)


class Counts(NamedTuple):
    """How many messages each subject has."""

    at: int
    """The last sequence of the stream just before it was counted: a few later ones may be in."""
    now: datetime
    """When that was, by the clock that stamps messages too."""
    by_subject: dict[str, int]


async def counts(connection: Connection, stream: str, pattern: str) -> Counts:
    """Count the messages of each subject of ``pattern``, on the stream's leader; raises `MeshUnavailable`."""
    found: list[_Info] = []
    while True:
        request = {"subjects_filter": pattern, "offset": len(found) * _PAGE_SUBJECTS}
        found.append(await _ask(connection, f"STREAM.INFO.{stream}", request, _Info))
        if len(found) * _PAGE_SUBJECTS >= found[-1].total:
            subjects = {subject: count for page in found for subject, count in (page.state.subjects or {}).items()}
            return Counts(found[0].state.last_seq, _time(found[0].ts), subjects)


def _time(ts: str) -> datetime:
    with suppress(ValueError):
        return datetime.fromisoformat(ts)
    return datetime.now(UTC)


async def last_of_each(
    connection: Connection, stream: str, patterns: Sequence[str], *, most_bytes: int
) -> AsyncIterator[list[Stored]]:
    """The last message of each subject of ``patterns``, in batches, oldest first; one has ``most_bytes`` at most.

    A pull consumer that lives for this reading alone. What it numbers is checked, since such a reading can lose
    messages in silence. Raises `MeshUnavailable`, also where something is missing.
    """
    name = f"mesh-{secrets.token_hex(6)}"
    config = {
        "name": name,
        "deliver_policy": "last_per_subject",
        "ack_policy": "none",
        "filter_subjects": list(patterns),
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": _IDLE_S * _NS,
    }
    created = await _ask(
        connection, f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": config}, _Consumer
    )
    # A batch is bounded by its number alone: the server loses the message that does not fit under `max_bytes`.
    reading = _Reading(connection, stream, name, max(1, min(_BATCH, _BATCH_BYTES // most_bytes)))
    try:
        pending = created.num_pending
        while pending:
            messages, pending = await reading.batch()
            yield messages
    finally:
        reading.close()
        with suppress(MeshUnavailable):
            await _ask(connection, f"CONSUMER.DELETE.{stream}.{name}", {}, ApiReply)


class _Reading:
    """Batches from one pull consumer."""

    def __init__(self, connection: Connection, stream: str, name: str, most: int) -> None:
        self._connection = connection
        self._most = most
        self._stream = stream
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"
        self._inbox = connection.new_inbox()
        self._delivered = 0
        self._pending = 0
        self._messages: list[Stored] = []
        self._ended: asyncio.Future[None] | None = None
        self._heard = 0.0
        self._subscription = connection.subscribe(self._inbox, self._receive)

    def close(self) -> None:
        self._connection.unsubscribe(self._subscription)

    async def batch(self) -> tuple[list[Stored], int]:
        """The next messages, and how many are left."""
        loop = asyncio.get_running_loop()
        self._messages, self._ended, self._heard = [], loop.create_future(), loop.time()
        request = {"batch": self._most, "expires": int(_SILENCE_S * _NS)}
        self._connection.publish(self._next, msgspec.json.encode(request), reply=self._inbox.encode())
        watch = loop.create_task(self._watch(self._ended))
        try:
            await self._ended
        finally:
            watch.cancel()
        return self._messages, self._pending

    async def _watch(self, ended: asyncio.Future[None]) -> None:
        while not ended.done():
            await asyncio.sleep(_SILENCE_S / 4)
            if not ended.done() and asyncio.get_running_loop().time() - self._heard > _SILENCE_S:
                ended.set_exception(MeshUnavailable(f"reading stream {self._stream} stalled"))

    def _receive(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        ended = self._ended
        if ended is None or ended.done():
            return
        self._heard = asyncio.get_running_loop().time()
        tokens = reply.split(b".")  # $JS.ACK.<stream>.<consumer>.<tries>.<stream seq>.<consumer seq>.<time>.<pending>
        if status_of(headers) or len(tokens) < 9:
            ended.set_exception(MeshUnavailable(f"stream {self._stream} cannot be read: {headers[:80]!r}"))
            return
        seq, number, self._pending = int(tokens[-4]), int(tokens[-3]), int(tokens[-1])
        if number != self._delivered + 1:
            ended.set_exception(MeshUnavailable(f"reading stream {self._stream} lost messages"))
            return
        self._delivered = number
        head = headers.removesuffix(b"\r\n\r\n")
        self._messages.append(Stored(self._stream, subject, seq, 0, _rfc3339(int(tokens[-2])), head, body))
        if not self._pending or len(self._messages) == self._most:
            ended.set_result(None)


def _rfc3339(nanoseconds: int) -> bytes:
    """A time of storing as the server's headers have it."""
    seconds, rest = divmod(nanoseconds, _NS)
    return b"%b.%09dZ" % (_second(seconds), rest)


@lru_cache(maxsize=64)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
