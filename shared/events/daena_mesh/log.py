"""The log: events are appended to streams, and read from them by position.

The head of what one reads comes from the stream's leader; batches come from any replica, which may be stale, so
`replay` trusts a batch only when it has reached that head.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from daena_mesh import trace
from daena_mesh.audits import Audits
from daena_mesh.connection import Connection, Reply, State, header_block
from daena_mesh.cursors import Cursor
from daena_mesh.errors import Conflict, InvalidEvent, MeshError, MeshUnavailable
from daena_mesh.held import IN_PROCESS, Write
from daena_mesh.histogram import Histogram
from daena_mesh.jetstream import ApiError, ApiReply
from daena_mesh.layout import LETTERS, RECORDS, Layout, epoch_subject
from daena_mesh.log_door import LogDoor
from daena_mesh.provisioning import provision
from daena_mesh.reader import StreamReader, not_provisioned
from daena_mesh.repeats import OFTEN_S, Repeat
from daena_mesh.replays import Replays
from daena_mesh.settings import MeshSettings
from daena_mesh.shared_run import SharedRun
from daena_mesh.subjects import event_type_of

_ATTEMPT_S = 1.0
_APART_S = 0.5
"""How long the leader of one stream may take longer than that of another, until nobody waits for both."""
_RETRY_S = 0.05
_MOST_SILENT_S = 10.0
"""Whoever leaves a server of a cluster because leaders do not answer waits for longer than choosing them takes."""
_CONFLICTS = frozenset({10071, 10164})
_TRY_AGAIN = frozenset({IN_PROCESS, 10008, 10077})


class Ack(NamedTuple):
    """JetStream has stored the event."""

    id: str
    """The event's id."""
    cursor: str
    seq: int
    duplicate: bool
    """It had been stored before, under the same id: nothing happened twice."""


class Epoch(NamedTuple):
    """Which life of a stream this is, and where its marker lies."""

    name: str
    seq: int


class _Answered(NamedTuple):
    """When a leader has answered, in seconds, and over which connection, by its number."""

    connects: int
    at: float


class _Known(NamedTuple):
    """Who answers over which connection, and which lives the streams have."""

    connects: int
    led: frozenset[str]
    lives: dict[str, str]


class PubAck(ApiReply):
    """JetStream's acknowledgement of a publish."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False


_puback = msgspec.json.Decoder(PubAck).decode


class Attendant(Protocol):
    """Who attends to the log, for as long as it follows something. There may be thousands."""

    def renewed(self) -> None:
        """There is another connection; nothing has come through it yet."""

    def disturbed(self) -> None:
        """Other leaders answer than before, or a stream has another epoch: something may have been missed."""

    def state_changed(self, state: State) -> None:
        """The log is cut off, or there again."""


class Log(StreamReader):
    """The streams, through one connection."""

    def __init__(
        self,
        connection: Connection,
        layout: Layout,
        settings: MeshSettings,
        *,
        patience_s: float = 5.0,
        door: LogDoor | None = None,
    ) -> None:
        """``patience_s`` is how long a write waits for a lost connection before it gives up."""
        super().__init__(connection, door)
        self.layout = layout
        self.settings = settings
        self.epochs: dict[str, Epoch] = {}
        self._patience_s = patience_s
        self._led: dict[str, _Answered] = {}
        """When the leader of each stream has answered last."""
        self._told = _Known(0, frozenset(), {})
        self._news = asyncio.Event()
        """Set when there is something new of that, and replaced."""
        self.replays = Replays(self)
        self._changed: dict[Callable[[], None], None] = {}
        self._attendants: dict[Attendant, None] = {}
        connection.on_renewal(self._renewed)
        connection.watch(self._state_changed)
        self.stand = SharedRun(self._stand)
        """Asks for the last sequence of each stream that is `led`, after all that was sent to NATS before was taken."""
        self.audits = Audits(self, self.stand)
        self.acks = Histogram()
        """How long JetStream took to acknowledge what was stored here."""
        self.heals = Counter(gap=0, audit=0, reconnect=0)
        """How often followers began to read what they had missed, or might have: by what told them, ``gap`` (a live
        message), ``audit`` or ``reconnect`` (or another life of a stream)."""

    # -- positions ----------------------------------------------------------------------------------------------

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after each reconnect, when a leader answers again, and when a stream has another epoch."""
        self._changed[callback] = None

    def remove_on_change(self, callback: Callable[[], None]) -> None:
        """Undo `on_change`."""
        self._changed.pop(callback, None)

    def attend(self, attendant: Attendant) -> None:
        """Tell ``attendant`` of all that changes."""
        self._attendants[attendant] = None

    def dismiss(self, attendant: Attendant) -> None:
        """Undo `attend`."""
        self._attendants.pop(attendant, None)

    def _renewed(self) -> None:
        for attendant in tuple(self._attendants):
            attendant.renewed()

    def _state_changed(self, state: State) -> None:
        self._tell_who_waits()
        for attendant in tuple(self._attendants):
            attendant.state_changed(state)

    async def provision(self) -> None:
        """Make all streams and buckets as they should be; each event stream may be written to before all are.

        Raises `ProvisioningError` and `MeshUnavailable`.
        """
        await provision(self.connection, self.layout, self.settings, self.epochs, self.learn_epoch)

    async def reconnected(self) -> None:
        """For `Connection.on_up`: learn the epochs, and have followers heal. Raises `MeshUnavailable`."""
        until = time.monotonic() + _MOST_SILENT_S
        while True:
            try:
                return await self._learn()
            except MeshUnavailable:  # while a cluster chooses its leaders
                self._tell_of_leaders()
                is_chosen_soon = self._is_led(RECORDS) or time.monotonic() < until
                if not (self.connection.is_clustered and self.connection.is_connected and is_chosen_soon):
                    raise
            await asyncio.sleep(_RETRY_S)

    async def watch_leaders(self, interval_s: float = 2.0) -> None:
        """For ever: notice leaders that do not answer through a connection that looks well, and new epochs."""
        heard = time.monotonic()
        while True:
            await asyncio.sleep(interval_s if self.connection.state == "connected" else OFTEN_S)
            if not self.connection.is_connected:
                heard = time.monotonic()
                continue
            told = self._told
            try:
                await self._learn()
            except MeshUnavailable as error:
                self.connection.degrade(str(error))
                self._tell_of_leaders()
                if self._is_led(RECORDS):  # through this server one reaches who is there
                    heard = time.monotonic()
                if self.connection.is_clustered and time.monotonic() - heard > _MOST_SILENT_S:
                    self.connection.leave(str(error))
                continue
            heard = time.monotonic()
            if self.connection.state == "degraded" and self.connection.is_ready:
                if self._told is told:
                    self._tell()  # what a node passes on that is cut off from the leader is not all there was
                self.connection.restore()

    async def _learn(self) -> None:
        """Learn the epochs. What is followed of a stream whose leader answers does not wait long for the others.

        Raises `MeshUnavailable`, and leaves it to the caller then to tell what has changed.
        """
        learning = asyncio.create_task(self.learn_epochs(), name="learn epochs")
        try:
            while not (await asyncio.wait({learning}, timeout=_APART_S))[0]:
                self._tell_of_leaders()
            learning.result()
        finally:
            learning.cancel()
        self._tell_of_leaders()

    @property
    def led(self) -> frozenset[str]:
        """The streams whose leaders answer over this connection, as far as is known."""
        return frozenset(filter(self._is_led, self.layout.streams))

    def _tell_of_leaders(self) -> None:
        """Have everybody look at the log again if other leaders answer than when they did, or of other epochs."""
        told, known = self._told, self._known()
        if known.led < told.led:
            self._told = known
            self._disturb()
        elif known != told:
            self._tell()

    def _known(self) -> _Known:
        lives = {stream: epoch.name for stream, epoch in self.epochs.items()}
        return _Known(self.connection.connects, self.led, lives)

    def _tell(self) -> None:
        self._told = self._known()
        self.replays.forget()
        for callback in tuple(self._changed):
            callback()
        self._disturb()

    def _disturb(self) -> None:
        for attendant in tuple(self._attendants):
            attendant.disturbed()

    def _tell_who_waits(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def wait_led(self, stream: str, timeout_s: float) -> None:
        """Wait until the leader of ``stream`` has answered over this connection; those of others may come later.

        Raises `MeshUnavailable` after ``timeout_s``, and when the connection was closed.
        """
        connection = self.connection
        try:
            async with asyncio.timeout(timeout_s):
                while not (connection.is_ready or self._is_led(stream)):
                    await self._news.wait()
        except TimeoutError:
            raise connection.unavailable() from None
        if connection.is_closed:
            raise connection.unavailable()

    def _is_led(self, stream: str) -> bool:
        answered = self._led.get(stream)
        return answered is not None and self.connection.is_connected and answered.connects == self.connection.connects

    async def learn_epochs(self) -> None:
        """Ask the leaders which life of each stream this is; raises `MeshUnavailable`.

        An agent without rights in any session does not learn it.
        """
        if self.door is not None and not self.door.sessions:
            return
        outcomes = await asyncio.gather(*map(self.learn_epoch, self.layout.streams), return_exceptions=True)
        for error in outcomes:  # of all of them, so that none is left unread; a leader that answers has been heard
            if isinstance(error, BaseException):
                raise error

    async def learn_epoch(self, stream: str) -> None:
        """Ask the leader of one stream; raises `MeshUnavailable`."""
        connects, asked_at = self.connection.connects, time.monotonic()
        try:
            await self._read_epoch(stream)
        except MeshUnavailable:
            if stream in self._led and self._led[stream].at < asked_at:  # nor did it answer somebody else meanwhile
                del self._led[stream]
            raise
        was_led = self._is_led(stream)
        self._led[stream] = _Answered(connects, time.monotonic())
        if not was_led:
            self._tell_who_waits()

    async def _read_epoch(self, stream: str) -> None:
        marker = await self.last(stream, epoch_subject(stream))
        if marker is not None:
            epoch = Epoch(marker.body.decode("ascii", "replace"), marker.seq)
            if stream in self.epochs and self.epochs[stream].name != epoch.name:
                self._kept.pop(stream, None)
            self.epochs[stream] = epoch
        elif not await self._has_outlived_marker(stream):
            raise not_provisioned(stream)

    async def _has_outlived_marker(self, stream: str) -> bool:
        """Whether the stream's limit of size took the marker that we know, as the oldest that there was."""
        epoch = self.epochs.get(stream)
        return epoch is not None and (await self.bounds(stream))[0] > epoch.seq

    def cursor(self, stream: str, seq: int) -> str:
        """The cursor of an event; empty for an agent that reads nothing."""
        if self.door is not None and stream not in self.epochs:
            return ""
        return f"{LETTERS[stream]}{self.epochs[stream].name}-{seq}"

    def position(self, stream: str, seq: int) -> Cursor:
        """The cursor of an event, taken apart."""
        return Cursor(LETTERS[stream], self.epochs[stream].name, seq)

    async def _stand(self) -> dict[str, int]:
        await self.connection.flush()
        led = sorted(self.led)
        if not led:
            raise MeshUnavailable("no stream has a leader that answers")
        bounds = await asyncio.gather(*map(self.bounds, led))
        return {stream: last for stream, (_, last) in zip(led, bounds, strict=True)}

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
        with self._span(subject) if trace.is_on() else contextlib.nullcontext():
            if traceparent := trace.current():
                headers[trace.HEADER] = traceparent
            patience_s = self._patience_s if patience_s is None else patience_s
            block = header_block(headers)
            write = Write(self.connection, stream, subject, msg_id)
            ack = await self._store(stream, subject, body, block, write, deadline_s=deadline_s, patience_s=patience_s)
        return Ack(event_id, self.cursor(stream, ack.seq), ack.seq, ack.duplicate)

    @staticmethod
    def _span(subject: str) -> contextlib.AbstractContextManager[None]:
        return trace.span(f"store {event_type_of(subject)}", "producer", subject=subject)

    async def _store(
        self,
        stream: str,
        subject: str,
        body: bytes,
        block: bytes,
        write: Write,
        *,
        deadline_s: float,
        patience_s: float,
    ) -> PubAck:
        deadline = time.monotonic() + deadline_s
        while True:
            await self.wait_led(stream, min(patience_s, max(0.0, deadline - time.monotonic())))
            began = time.perf_counter()
            try:
                reply = await self.connection.request(
                    subject, body, timeout_s=_ATTEMPT_S, headers=block, repeat=Repeat.AFTER_SILENCE
                )
                if (ack := acknowledged(stream, reply)) is not None:
                    self.acks.note(time.perf_counter() - began)
                    return ack
                reason = _not_now(stream, reply)
                write.refused(refusal_code(reply))
            except MeshUnavailable as error:
                reason = error
                write.refused(0)
            if time.monotonic() + _RETRY_S >= deadline:
                raise reason
            await asyncio.sleep(_RETRY_S)


def _not_now(stream: str, reply: Reply) -> MeshUnavailable:
    """Why `acknowledged` says that one should try again."""
    if (error := _refusal(reply)) is not None:
        return MeshUnavailable(f"stream {stream} does not store it now: {error.description} ({error.err_code})")
    return MeshUnavailable(f"stream {stream} has no leader at the moment")


def refusal_code(reply: Reply) -> int:
    """JetStream's code for why it does not store a message; 0 where it stored it, or did not say."""
    error = _refusal(reply)
    return error.err_code if error is not None else 0


def _refusal(reply: Reply) -> ApiError | None:
    if reply.headers:
        return None
    with contextlib.suppress(msgspec.DecodeError):
        return _puback(reply.body).error
    return None


def acknowledged(stream: str, reply: Reply) -> PubAck | None:
    """The acknowledgement of ``stream``, or None if one should try again; raises what is final."""
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
