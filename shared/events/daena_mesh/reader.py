"""Reading streams: from their leaders, whose word counts, and in batches from any replica, which may be stale."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import msgspec

from daena_mesh.connection import Connection, Reply
from daena_mesh.errors import MeshUnavailable
from daena_mesh.jetstream import NO_MESSAGE, NO_STREAM, AnyReply, ApiReply, asked
from daena_mesh.layout import epoch_subject
from daena_mesh.log_door import KEPT, SINCE, LogDoor
from daena_mesh.shared_run import SharedRun
from daena_mesh.stored import Stored, read_direct, status_of

MOST_MESSAGES = 1_000
MOST_BYTES = 1_048_576
"""The bounds of a batch; a bigger one can close the connection."""

_ANSWER_S = 2.0
_stands_at = re.compile(rb"\r\nNats-UpTo-Sequence: (\d+)\r\n").search
_BATCH_SILENCE_S = 0.5
_KEPT_FOR_S = 1.0
_PRESSED = 0.8
_MARKERS = 3
"""How many markers of its epoch a stream may hold at a time (`daena_mesh.tending`)."""


class Batch(NamedTuple):
    """Messages of one pattern of one stream, oldest first."""

    messages: list[Stored]
    pending: int
    """How many more there were when the last one was read."""


class Newest(NamedTuple):
    """The newest message on each of some subjects of one stream, oldest first."""

    messages: list[Stored]
    pending: int
    """How many more there were when the last one was read."""
    stand: int
    """The last sequence of the replica that answered, 0 where it does not tell."""


class _Message(msgspec.Struct):
    subject: str
    seq: int
    time: str
    data: str = ""
    hdrs: str = ""


class _MessageReply(ApiReply):
    message: _Message | None = None


class StreamState(msgspec.Struct):
    """What a stream holds."""

    first_seq: int
    last_seq: int
    bytes: int


class StreamConfig(msgspec.Struct):
    """The limits of a stream: an age in nanoseconds, a size in bytes."""

    max_age: int = 0
    max_bytes: int = -1
    allow_msg_ttl: bool = False


class _InfoReply(ApiReply):
    state: StreamState | None = None
    config: StreamConfig | None = None


class _SequenceReply(ApiReply):
    seq: int = 0


class _TooMany(MeshUnavailable):
    """There are more subjects than one answer holds."""


class StreamReader:
    """Asks for what streams hold."""

    def __init__(self, connection: Connection, door: LogDoor | None = None) -> None:
        """Through ``connection``, by the ``door`` where NATS lets one read no streams."""
        self.connection = connection
        self.door = door
        self._kept: dict[str, tuple[float, int]] = {}
        self._asking_kept: dict[str, SharedRun[int]] = {}

    async def last(self, stream: str, pattern: str) -> Stored | None:
        """The newest message on ``pattern``, from the leader; raises `MeshUnavailable`."""
        return await self._get(stream, {"last_by_subj": pattern})

    async def get(self, stream: str, seq: int) -> Stored | None:
        """The message at ``seq``, from the leader; raises `MeshUnavailable`."""
        return await self._get(stream, {"seq": seq})

    async def head(self, stream: str, patterns: Sequence[str]) -> int:
        """The sequence of the newest message on any of ``patterns``, from the leader, or 0.

        Raises `MeshUnavailable`.
        """
        newest = await asyncio.gather(*(self.last(stream, pattern) for pattern in patterns))
        return max((stored.seq for stored in newest if stored), default=0)

    async def bounds(self, stream: str) -> tuple[int, int]:
        """The first and the last sequence of the stream; raises `MeshUnavailable`."""
        state, _ = await self.info(stream)
        return state.first_seq, state.last_seq

    async def kept_from(self, stream: str) -> int:
        """The sequence from which on the stream's limits have removed nothing; raises `MeshUnavailable`.

        The first sequence does not tell: the marker of the epoch stays for ever, and what expired by its own
        ``Nats-TTL`` is owed to nobody. Messages older than the stream's age limit are gone, and under pressure of size
        whatever came before the first that is left.
        """
        at, kept = self._kept.get(stream, (0.0, 0))
        if time.monotonic() < at + _KEPT_FOR_S:
            return kept
        if (asking := self._asking_kept.get(stream)) is None:
            asking = self._asking_kept[stream] = SharedRun(partial(self._ask_kept_from, stream))
        return await asking.ask()

    async def _ask_kept_from(self, stream: str) -> int:
        if self.door is not None:
            kept = await self._ask_api(KEPT, stream, {})
            self._kept[stream] = time.monotonic(), kept
            return kept
        state, config = await self.info(stream)
        kept, pressed = 0, False
        if config.max_age:
            oldest = datetime.now(UTC) - timedelta(microseconds=config.max_age / 1_000) + timedelta(seconds=2)
            kept = await self.first_since(stream, oldest) or state.last_seq + 1
        if config.max_bytes > 0 and state.bytes >= _PRESSED * config.max_bytes:
            pressed = True
            kept = max(kept, await self._first(stream, {"seq": state.first_seq}) or state.last_seq + 1)
        elif state.first_seq > 1 and not config.allow_msg_ttl:
            # The marker was the first of all. Some limit took it, though it may be wider by now, or somebody purged.
            kept = max(kept, await self._first(stream, {"seq": state.first_seq}) or state.last_seq + 1)
        if not pressed:
            self._kept[stream] = time.monotonic(), kept
        return kept

    async def batch(
        self,
        stream: str,
        pattern: str,
        after: int,
        *,
        most: int = MOST_MESSAGES,
        most_bytes: int = MOST_BYTES,
    ) -> Batch:
        """What follows ``after`` on ``pattern``, from any replica: perhaps stale. Raises `MeshUnavailable`."""
        request = {"seq": after + 1, "next_by_subj": pattern, "batch": most, "max_bytes": most_bytes}
        found = await self._direct(stream, request)
        return Batch(found.messages, found.pending)

    async def lasts(self, stream: str, patterns: Sequence[str], after: int) -> Newest | None:
        """The newest message of each subject on ``patterns``, where it lies behind ``after``, from any replica.

        In order, from the oldest on as many as an answer may hold, and up to where that replica stands. None where
        there are more subjects on ``patterns`` than one answer holds (1,024). Raises `MeshUnavailable`.
        """
        if self.door is not None and len(parts := self.door.split(patterns)) > 1:
            return _merged([await self.lasts(stream, part, after) for part in parts])
        # The marker has a replica tell where it stands when none of the patterns has anything.
        request = {"multi_last": [*patterns, epoch_subject(stream)], "seq": after + 1, "max_bytes": MOST_BYTES}
        try:
            return await self._direct(stream, request)
        except _TooMany:
            return None

    async def first_since(self, stream: str, at: datetime) -> int:
        """The sequence of the first event stored at ``at`` or later, or 0, from any replica: perhaps stale.

        Raises `MeshUnavailable`.
        """
        start = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if self.door is not None:
            return await self._ask_api(SINCE, stream, {"at": start})
        return await self._first(stream, {"start_time": start})

    async def _first(self, stream: str, start: Mapping[str, object]) -> int:
        """The sequence of the first event from ``start`` on, or 0; markers of epochs are no events."""
        found = await self._direct(stream, {**start, "next_by_subj": ">", "batch": _MARKERS + 1})
        marker = epoch_subject(stream).encode()
        return next((message.seq for message in found.messages if message.subject != marker), 0)

    async def _direct(self, stream: str, request: Mapping[str, object]) -> Newest:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        messages: list[Stored] = []
        pending = stand = 0
        heard = loop.time()

        def give(reply: Reply | None) -> None:
            nonlocal pending, stand, heard
            heard = loop.time()
            if ended.done():
                return
            if reply is None:
                ended.set_exception(self.connection.unavailable())
            elif status := status_of(reply.headers):
                stand = _stand_of(reply.headers)
                _end(ended, stream, status)
            elif read := read_direct(stream, reply.headers, reply.body):
                if read[0].previous != (messages[-1].seq if messages else 0):
                    ended.set_exception(MeshUnavailable(f"a part of what stream {stream} answered was lost"))
                messages.append(read[0])
                pending = read[1]

        token = self.connection.ask(*self._address("DIRECT.GET", stream, request), give)
        try:
            while not (await asyncio.wait({ended}, timeout=_BATCH_SILENCE_S))[0]:
                if loop.time() - heard >= _BATCH_SILENCE_S:
                    raise MeshUnavailable(f"no replica of stream {stream} answers")
            await ended
        finally:
            self.connection.stop_asking(token)
        return Newest(messages, pending, stand)

    async def _get(self, stream: str, request: Mapping[str, object]) -> Stored | None:
        answer = await self._call("STREAM.MSG.GET", stream, request, _MessageReply)
        if answer.error:
            if answer.error.err_code == NO_MESSAGE:
                return None
            if answer.error.err_code == NO_STREAM:
                raise not_provisioned(stream)
            raise MeshUnavailable(f"stream {stream} cannot be read: {answer.error.description}")
        if (message := answer.message) is None:
            return None
        headers = base64.b64decode(message.hdrs)
        return Stored(
            stream,
            message.subject.encode(),
            message.seq,
            0,
            message.time.encode(),
            headers.removesuffix(b"\r\n\r\n"),
            base64.b64decode(message.data),
        )

    async def info(self, stream: str) -> tuple[StreamState, StreamConfig]:
        """What ``stream`` holds, and its limits; raises `MeshUnavailable`."""
        info = await self._call("STREAM.INFO", stream, {}, _InfoReply)
        if info.error or info.state is None or info.config is None:
            raise MeshUnavailable(f"stream {stream}: {info.error.description if info.error else 'no answer'}")
        return info.state, info.config

    def _address(self, verb: str, stream: str, request: Mapping[str, object]) -> tuple[str, bytes]:
        if self.door is not None:
            return self.door.address(verb, stream, request)
        return f"$JS.API.{verb}.{stream}", msgspec.json.encode(request)

    async def _call(
        self, verb: str, stream: str, request: Mapping[str, object], reply_type: type[AnyReply]
    ) -> AnyReply:
        subject, body = self._address(verb, stream, request)
        return await asked(self.connection, subject, body, reply_type, timeout_s=_ANSWER_S)

    async def _ask_api(self, verb: str, stream: str, request: Mapping[str, object]) -> int:
        answer = await self._call(verb, stream, request, _SequenceReply)
        if answer.error:
            raise MeshUnavailable(f"stream {stream} cannot be read: {answer.error.description}")
        return answer.seq


def _merged(parts: Sequence[Newest | None]) -> Newest | None:
    """Several answers as one, up to where all of them tell everything."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    ends = [part.messages[-1].seq for part in known if part.pending and part.messages]
    end = min(ends, default=2**63)
    by_seq = {message.seq: message for part in known for message in part.messages}  # the marker is in each of them
    messages = [by_seq[seq] for seq in sorted(by_seq)]
    kept = [message for message in messages if message.seq <= end]
    pending = sum(part.pending for part in known) + len(messages) - len(kept)
    return Newest(kept, pending, min(part.stand for part in known))


def _stand_of(headers: bytes) -> int:
    found = _stands_at(headers)
    return int(found[1]) if found else 0


def _end(ended: asyncio.Future[None], stream: str, status: int) -> None:
    if status in {204, 404}:
        ended.set_result(None)
    elif status == 413:
        ended.set_exception(_TooMany(f"stream {stream} has too many subjects for one answer"))
    else:
        ended.set_exception(MeshUnavailable(f"stream {stream} cannot be read: status {status}"))


def not_provisioned(stream: str) -> MeshUnavailable:
    """The error for a stream that does not exist."""
    return MeshUnavailable(f"stream {stream} is not provisioned yet; `mesh api` or `mesh up` does that")
