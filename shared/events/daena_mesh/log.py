"""The log: events are appended to streams, and read from them by position.

The head of what one reads comes from the stream's leader; batches come from any replica, which may be stale, so
`replay` trusts a batch only when it has reached that head.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from daena_mesh.connection import Connection, Reply, header_block
from daena_mesh.cursors import Cursor
from daena_mesh.errors import Conflict, InvalidEvent, MeshError, MeshUnavailable
from daena_mesh.layout import LETTERS, Layout, epoch_subject
from daena_mesh.settings import MeshSettings
from daena_mesh.shared_run import SharedRun
from daena_mesh.stored import Stored, read_direct, status_of

MOST_MESSAGES = 1_000
MOST_BYTES = 1_048_576
"""The bounds of a batch; a bigger one can close the connection."""

MOST_REPLAYS = 16
"""How many read the log at the same time; the others wait."""

_ATTEMPT_S = 2.0
_BATCH_SILENCE_S = 0.5
_RETRY_S = 0.05
_KEPT_FOR_S = 1.0
_PRESSED = 0.8
_MARKERS = 3
"""How many markers of its epoch a stream may hold at a time (`daena_mesh.provisioning.keep_epochs`)."""
_CONFLICTS = frozenset({10071, 10164})
_TRY_AGAIN = frozenset({10158, 10008, 10077})
_NOT_FOUND = 10037
_NO_STREAM = 10059


class Ack(NamedTuple):
    """JetStream has stored the event."""

    id: str
    """The event's id."""
    cursor: str
    seq: int
    duplicate: bool
    """It had been stored before, under the same id: nothing happened twice."""


class Batch(NamedTuple):
    """Messages of one pattern of one stream, oldest first."""

    messages: list[Stored]
    pending: int
    """How many more there were when the last one was read."""


class Epoch(NamedTuple):
    """Which life of a stream this is, and where its marker lies."""

    name: str
    seq: int


class _Error(msgspec.Struct):
    code: int
    err_code: int = 0
    description: str = ""


class _PubAck(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _Error | None = None


class _Message(msgspec.Struct):
    subject: str
    seq: int
    time: str
    data: str = ""
    hdrs: str = ""


class _MessageReply(msgspec.Struct):
    message: _Message | None = None
    error: _Error | None = None


class StreamState(msgspec.Struct):
    """What a stream holds."""

    first_seq: int
    last_seq: int
    bytes: int


class StreamConfig(msgspec.Struct):
    """The limits of a stream: an age in nanoseconds, a size in bytes."""

    max_age: int = 0
    max_bytes: int = -1


class _InfoReply(msgspec.Struct):
    state: StreamState | None = None
    config: StreamConfig | None = None
    error: _Error | None = None


_puback = msgspec.json.Decoder(_PubAck).decode


class Log:
    """The streams, through one connection."""

    def __init__(
        self, connection: Connection, layout: Layout, settings: MeshSettings, *, patience_s: float = 5.0
    ) -> None:
        """``patience_s`` is how long a write waits for a lost connection before it gives up."""
        self.connection = connection
        self.layout = layout
        self.settings = settings
        self.epochs: dict[str, Epoch] = {}
        self._patience_s = patience_s
        self.replays = asyncio.Semaphore(MOST_REPLAYS)
        self._kept: dict[str, tuple[float, int]] = {}
        self._changed: dict[Callable[[], None], None] = {}
        self.stand = SharedRun(self._stand)
        """Asks for the last sequence of each stream, read after all that was sent to NATS before was taken."""

    # -- positions ----------------------------------------------------------------------------------------------

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after each reconnect, and when a stream has another epoch."""
        self._changed[callback] = None

    def remove_on_change(self, callback: Callable[[], None]) -> None:
        """Undo `on_change`."""
        self._changed.pop(callback, None)

    async def reconnected(self) -> None:
        """For `Connection.on_up`: learn the epochs, and have followers heal. Raises `MeshUnavailable`."""
        await self.learn_epochs()
        self._tell()

    async def watch_leaders(self, interval_s: float = 2.0) -> None:
        """For ever: notice leaders that do not answer through a connection that looks well, and new epochs."""
        while True:
            await asyncio.sleep(interval_s)
            if not self.connection.is_connected:
                continue
            before = self._lives()
            try:
                await self.learn_epochs()
            except MeshUnavailable as error:
                self.connection.degrade(str(error))
                continue
            was_degraded = self.connection.state == "degraded"
            self.connection.restore()
            if was_degraded or before != self._lives():
                self._tell()  # what a node passes on that is cut off from the leader is not all there was

    def _lives(self) -> dict[str, str]:
        return {stream: epoch.name for stream, epoch in self.epochs.items()}

    def _tell(self) -> None:
        for callback in tuple(self._changed):
            callback()

    async def learn_epochs(self) -> None:
        """Ask the leaders which life of each stream this is; raises `MeshUnavailable`."""
        for stream in self.layout.streams:
            marker = await self.last(stream, epoch_subject(stream))
            if marker is None and await self._has_outlived_marker(stream):
                continue
            if marker is None:
                raise _not_provisioned(stream)
            epoch = Epoch(marker.body.decode("ascii", "replace"), marker.seq)
            if stream in self.epochs and self.epochs[stream].name != epoch.name:
                self._kept.pop(stream, None)
            self.epochs[stream] = epoch

    async def _has_outlived_marker(self, stream: str) -> bool:
        """Whether the stream's limit of size took the marker that we know, as the oldest that there was."""
        epoch = self.epochs.get(stream)
        return epoch is not None and (await self.bounds(stream))[0] > epoch.seq

    def cursor(self, stream: str, seq: int) -> str:
        """The cursor of an event."""
        return f"{LETTERS[stream]}{self.epochs[stream].name}-{seq}"

    def position(self, stream: str, seq: int) -> Cursor:
        """The cursor of an event, taken apart."""
        return Cursor(LETTERS[stream], self.epochs[stream].name, seq)

    # -- writing ------------------------------------------------------------------------------------------------

    async def append(
        self,
        subject: str,
        body: bytes,
        *,
        event_id: str,
        msg_id: str,
        ttl_s: int | None = None,
        expect_last: tuple[str, int] | None = None,
        deadline_s: float = 10.0,
        patience_s: float | None = None,
    ) -> Ack:
        """Store an event and return its position.

        ``expect_last`` is a pattern of subjects and the sequence that must be the last on it. Tried again under the
        same ``msg_id`` until ``deadline_s``, or ``patience_s`` without a connection, has passed. Raises `NotCovered`,
        `Conflict`, `InvalidEvent` and `MeshUnavailable`; after the latter the event may or may not be stored.
        """
        stream = self.layout.stream_of(subject)
        headers = {"Nats-Msg-Id": msg_id}
        if ttl_s is not None:
            headers["Nats-TTL"] = str(ttl_s)
        if expect_last is not None:
            headers["Nats-Expected-Last-Subject-Sequence-Subject"] = expect_last[0]
            headers["Nats-Expected-Last-Subject-Sequence"] = str(expect_last[1])
        block = header_block(headers)
        patience_s = self._patience_s if patience_s is None else patience_s
        deadline = time.monotonic() + deadline_s
        while True:
            await self.connection.wait_ready(min(patience_s, max(0.0, deadline - time.monotonic())))
            try:
                reply = await self.connection.request(subject, body, timeout_s=_ATTEMPT_S, headers=block)
                if (ack := _acknowledged(stream, reply)) is not None:
                    return Ack(event_id, self.cursor(stream, ack.seq), ack.seq, ack.duplicate)
                reason = MeshUnavailable(f"stream {stream} has no leader at the moment")
            except MeshUnavailable as error:
                reason = error
            if time.monotonic() + _RETRY_S >= deadline:
                raise reason
            await asyncio.sleep(_RETRY_S)

    # -- reading ------------------------------------------------------------------------------------------------

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

    async def _stand(self) -> dict[str, int]:
        await self.connection.flush()
        return {stream: (await self.bounds(stream))[1] for stream in self.layout.streams}

    async def kept_from(self, stream: str) -> int:
        """The sequence from which on the stream's limits have removed nothing; raises `MeshUnavailable`.

        The first sequence does not tell: the marker of the epoch stays for ever, and what expired by its own
        ``Nats-TTL`` is owed to nobody. Messages older than the stream's age limit are gone, and under pressure of size
        whatever came before the first that is left.
        """
        at, kept = self._kept.get(stream, (0.0, 0))
        if time.monotonic() < at + _KEPT_FOR_S:
            return kept
        state, config = await self.info(stream)
        kept, pressed = 0, False
        if config.max_age:
            oldest = datetime.now(UTC) - timedelta(microseconds=config.max_age / 1_000) + timedelta(seconds=2)
            first = await self._first(stream, {"start_time": oldest.isoformat().replace("+00:00", "Z")})
            kept = first or state.last_seq + 1
        if config.max_bytes > 0 and state.bytes >= _PRESSED * config.max_bytes:
            pressed = True
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
        return await self._direct(stream, request)

    async def _first(self, stream: str, start: Mapping[str, object]) -> int:
        """The sequence of the first event from ``start`` on, or 0; markers of epochs are no events."""
        found = await self._direct(stream, {**start, "next_by_subj": ">", "batch": _MARKERS + 1})
        marker = epoch_subject(stream).encode()
        return next((message.seq for message in found.messages if message.subject != marker), 0)

    async def _direct(self, stream: str, request: Mapping[str, object]) -> Batch:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        messages: list[Stored] = []
        pending = 0
        heard = loop.time()
        timer: asyncio.TimerHandle

        def give(reply: Reply | None) -> None:
            nonlocal pending, heard
            heard = loop.time()
            if ended.done():
                return
            if reply is None:
                ended.set_exception(self.connection.unavailable())
            elif status := status_of(reply.headers):
                if status in {204, 404}:
                    ended.set_result(None)
                else:
                    ended.set_exception(MeshUnavailable(f"stream {stream} cannot be read: status {status}"))
            elif read := read_direct(stream, reply.headers, reply.body):
                messages.append(read[0])
                pending = read[1]

        def silent() -> None:
            nonlocal timer
            if ended.done():
                return
            if loop.time() - heard >= _BATCH_SILENCE_S:
                ended.set_exception(MeshUnavailable(f"no replica of stream {stream} answers"))
            else:
                timer = loop.call_later(_BATCH_SILENCE_S, silent)

        token = self.connection.ask(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(request), give)
        timer = loop.call_later(_BATCH_SILENCE_S, silent)
        try:
            await ended
        finally:
            timer.cancel()
            self.connection.stop_asking(token)
        return Batch(messages, pending)

    async def _get(self, stream: str, request: Mapping[str, object]) -> Stored | None:
        reply = await self._api(f"STREAM.MSG.GET.{stream}", request)
        answer = msgspec.json.decode(reply.body, type=_MessageReply)
        if answer.error:
            if answer.error.err_code == _NOT_FOUND:
                return None
            if answer.error.err_code == _NO_STREAM:
                raise _not_provisioned(stream)
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
        info = msgspec.json.decode((await self._api(f"STREAM.INFO.{stream}", {})).body, type=_InfoReply)
        if info.error or info.state is None or info.config is None:
            raise MeshUnavailable(f"stream {stream}: {info.error.description if info.error else 'no answer'}")
        return info.state, info.config

    async def _api(self, verb: str, request: Mapping[str, object]) -> Reply:
        reply = await self.connection.request(f"$JS.API.{verb}", msgspec.json.encode(request), timeout_s=_ATTEMPT_S)
        if reply.headers:
            raise MeshUnavailable("JetStream does not answer")
        return reply


def _not_provisioned(stream: str) -> MeshUnavailable:
    return MeshUnavailable(f"stream {stream} is not provisioned yet; `mesh api` or `mesh up` does that")


def _acknowledged(stream: str, reply: Reply) -> _PubAck | None:
    """The acknowledgement, or None if one should try again; raises what is final."""
    if reply.headers:
        return None
    try:
        ack = _puback(reply.body)
    except msgspec.DecodeError:
        return None  # whoever else listens on the subject may have answered first
    if ack.error is None:
        return ack if ack.stream == stream else None
    if ack.error.err_code in _CONFLICTS:
        raise Conflict(f"another writer was first: {ack.error.description}")
    if ack.error.err_code in _TRY_AGAIN or ack.error.code == 503:
        return None
    if ack.error.err_code == 10054:
        raise InvalidEvent(f"stream {stream} refuses the event: {ack.error.description}")
    raise MeshError(f"stream {stream} refuses the event: {ack.error.description} ({ack.error.err_code})")
