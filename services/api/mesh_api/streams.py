"""What the API asks of JetStream beyond the log: to purge, to count, and the last message of every subject."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable
from daena_mesh.stored import Stored, status_of

_API = "$JS.API."
_TIMEOUT_S = 5.0
_SILENCE_S = 2.0
_IDLE_S = 30
_BATCH = 1_000
_BATCH_BYTES = 1_048_576
_NS = 1_000_000_000
_PAGE_SUBJECTS = 100_000
"""What nats-server puts into one answer at most."""


class _Error(msgspec.Struct):
    code: int
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    error: _Error | None = None


class _State(msgspec.Struct):
    last_seq: int = 0
    subjects: dict[str, int] | None = None


class _Info(_Answer):
    state: _State = msgspec.field(default_factory=_State)
    total: int = 0


class _Consumer(_Answer):
    num_pending: int = 0


AnyAnswer = TypeVar("AnyAnswer", bound=_Answer)


async def _ask(connection: Connection, verb: str, request: dict[str, Any], cls: type[AnyAnswer]) -> AnyAnswer:
    reply = await connection.request(_API + verb, msgspec.json.encode(request), timeout_s=_TIMEOUT_S)
    if reply.headers:
        raise MeshUnavailable("JetStream does not answer")
    answer = msgspec.json.decode(reply.body, type=cls)
    if answer.error is not None:
        raise MeshUnavailable(f"{verb}: {answer.error.description} ({answer.error.err_code})")
    return answer


async def purge(connection: Connection, stream: str, pattern: str, *, before: int = 0) -> None:
    """Remove for good what is on ``pattern``, or what of it lies before the sequence ``before``.

    Raises `MeshUnavailable`.
    """
    request = {"filter": pattern, **({"seq": before} if before else {})}
    await _ask(connection, f"STREAM.PURGE.{stream}", request, _Answer)


async def last_seq(connection: Connection, stream: str) -> int:
    """The last sequence of ``stream``, from its leader; raises `MeshUnavailable`."""
    return (await _ask(connection, f"STREAM.INFO.{stream}", {}, _Info)).state.last_seq


async def counts(connection: Connection, stream: str, pattern: str) -> dict[str, int]:
    """How many messages each subject of ``pattern`` has; raises `MeshUnavailable`."""
    found: dict[str, int] = {}
    offset = 0
    while True:
        info = await _ask(connection, f"STREAM.INFO.{stream}", {"subjects_filter": pattern, "offset": offset}, _Info)
        found.update(info.state.subjects or {})
        offset += _PAGE_SUBJECTS
        if offset >= info.total:
            return found


async def last_of_each(connection: Connection, stream: str, patterns: Sequence[str]) -> AsyncIterator[list[Stored]]:
    """The last message of each subject of ``patterns``, in batches, oldest first.

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
    reading = _Reading(connection, stream, name)
    try:
        pending = created.num_pending
        while pending:
            messages, pending = await reading.batch()
            yield messages
    finally:
        reading.close()
        with suppress(MeshUnavailable):
            await _ask(connection, f"CONSUMER.DELETE.{stream}.{name}", {}, _Answer)


class _Reading:
    """Batches from one pull consumer."""

    def __init__(self, connection: Connection, stream: str, name: str) -> None:
        self._connection = connection
        self._stream = stream
        self._next = f"{_API}CONSUMER.MSG.NEXT.{stream}.{name}"
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
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
        request = {"batch": _BATCH, "max_bytes": _BATCH_BYTES, "expires": int(_SILENCE_S * _NS)}
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
            # A batch that is full by its bytes ends with a status; what is pending says whether there is more.
            if self._messages:
                ended.set_result(None)
            else:
                ended.set_exception(MeshUnavailable(f"stream {self._stream} cannot be read: {headers[:80]!r}"))
            return
        seq, number, self._pending = int(tokens[-4]), int(tokens[-3]), int(tokens[-1])
        if number != self._delivered + 1:
            ended.set_exception(MeshUnavailable(f"reading stream {self._stream} lost messages"))
            return
        self._delivered = number
        head = headers.removesuffix(b"\r\n\r\n")
        self._messages.append(Stored(self._stream, subject, seq, 0, _rfc3339(int(tokens[-2])), head, body))
        if not self._pending or len(self._messages) == _BATCH:
            ended.set_result(None)


def _rfc3339(nanoseconds: int) -> bytes:
    """A time of storing as the server's headers have it."""
    seconds, rest = divmod(nanoseconds, _NS)
    return b"%b.%09dZ" % (_second(seconds), rest)


@lru_cache(maxsize=64)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
