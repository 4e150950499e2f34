"""A topic with sockets on this edge: one encoding for each event, one write for each socket and turn.

A socket in `ready` has nothing held back, so what is written to its descriptor is in order. One that does not take
what it is given goes to `behind`, up to some bytes, and then only its position is kept: it is served from the log at
its own pace (`catchup`). Nothing is queued for a client here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from daena_mesh.chain import Chain
from daena_mesh.codec import Poison
from daena_mesh.cursors import Cursor, Positions
from daena_mesh.follower import Follower, GapReason
from daena_mesh.ids import now
from daena_mesh.layout import LETTERS, SIGNALS, STREAM_OF_LETTER
from daena_mesh.log import Log
from daena_mesh.stored import Stored, read_live
from mesh_edge.catchup import CatchUp
from mesh_edge.control import control_frame, gap_frame
from mesh_edge.envelope import event_frame, is_notice
from mesh_edge.lobby import Lobby
from mesh_edge.poison import PoisonCabinet
from mesh_edge.topic_name import EVENTS, TopicName

if TYPE_CHECKING:
    from mesh_edge.reader import Reader

_MOST_AT_ONCE = 65_536
_SIGNALS_ONLY = {b"Nats-Stream: " + SIGNALS.encode(): SIGNALS}


class TopicContext(NamedTuple):
    """What all topics of an edge share."""

    edge_id: str
    log: Log
    poison: PoisonCabinet
    emptied: Callable[[Topic], None]
    """Called when the last socket has left."""


class Topic:
    """Follows its subjects for all sockets at once, and is what they are shown through."""

    __slots__ = (
        *(
            "ready",
            "behind",
            "catch_up",
            "follower",
            "deliveries",
            "flushed",
            "is_degraded",
            "label",
            "lobby",
            "name",
            "readers",
        ),
        *("_context", "_fds", "_notices", "_pending", "_pending_bytes", "_prefixes"),
    )

    def __init__(self, name: TopicName, context: TopicContext) -> None:
        """Nothing happens before `start`."""
        self.name = name.name
        self.label = name.name.encode()
        self.readers: dict[Reader, None] = {}
        self.ready: dict[int, Reader] = {}
        self.behind: dict[Reader, None] = {}
        self.deliveries = 0
        self.flushed: dict[str, int] = {}
        """For each stream the position after what was written last."""
        self._context = context
        self.is_degraded = False
        """Its sockets were told that events may be missing for a while."""
        self._fds: tuple[int, ...] | None = ()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._prefixes: dict[str, bytes] = {}
        self.lobby = Lobby(late=self.degraded, emptied=self._emptied)
        self.follower = Follower(context.log, name.patterns, self)
        self.catch_up = CatchUp(self, context.log)
        # The topic of all events has every notice among its subjects.
        about_us = () if name.name == EVENTS else (f"live.system.{name.name}.notice", "live.system.all.notice")
        self._notices = [context.log.connection.subscribe(subject, self._notice) for subject in about_us]

    def start(self) -> None:
        """Follow."""
        self.follower.start()

    def stop(self) -> None:
        """Follow no longer."""
        self.follower.stop()
        self.catch_up.stop()
        for subscription in self._notices:
            self._context.log.connection.unsubscribe(subscription)

    # -- what is shown ------------------------------------------------------------------------------------------

    def event(self, message: Stored, prev: int | None) -> bool:
        """Make the frame and queue it for the write at the end of this turn."""
        try:
            frame = self.frame(message, prev)
        except Poison as error:
            self._context.poison.note(message, str(error))
            return False
        if is_notice(message):
            self._queue(frame)
            return False
        before = self.follower.chains[message.stream].position
        if message.seq < before:
            self._show_late(message, frame)
            return True
        self._queue(frame)
        self.catch_up.remember(message, before, frame)
        return True

    def frame(self, message: Stored, prev: int | None) -> bytes:
        """The frame of a message on this topic; raises `Poison`."""
        stream = message.stream
        if (prefix := self._prefixes.get(stream)) is None:
            if stream in self.follower.chains:
                epoch = self.follower.position(stream).epoch
                prefix = self._prefixes[stream] = f"{LETTERS[stream]}{epoch}-".encode()
            else:  # a notice, which a topic that follows no signals is shown too
                prefix = str(self._context.log.position(stream, 0)).encode()[:-1]
        return event_frame(self.label, message, prefix, prev, self._context.log.settings.max_body_bytes)

    def gap(self, before: Cursor, after: Cursor, reason: GapReason) -> None:
        """Tell every socket what it cannot be shown."""
        self.flush()
        self._prefixes.clear()
        self.catch_up.forget()
        frame = gap_frame(before, after, reason)
        stream = STREAM_OF_LETTER[after.letter]
        for reader in self.readers:
            if not self.catch_up.is_waiting(reader):
                reader.jump(stream, after.seq)
                reader.send(frame)
        self.flushed = {**self.flushed, stream: after.seq}

    def degraded(self) -> None:
        """Tell every reader, once, that events may be missing for a while."""
        if not self.is_degraded:
            self.is_degraded = True
            for reader in self.readers:
                reader.send(self.connection_frame(reader, "degraded", recovered=False, positions=None))
        self.lobby.open()

    def healed(self) -> None:
        """Let in who waits for that, and tell who was told otherwise."""
        self.flush()
        if self.is_degraded:
            if self._context.log.connection.state != "connected":
                return  # it tells once more when it is
            self.is_degraded = False
            for reader in self.readers:
                if not self.catch_up.is_waiting(reader):
                    positions = self.positions() if reader.positions is None else reader.positions
                    recovered = reader.positions is None
                    reader.send(self.connection_frame(reader, "connected", recovered=recovered, positions=positions))
        self.flushed = self.positions()
        self.catch_up.admit_waiting()
        self.lobby.open()

    def _notice(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        message = read_live(_SIGNALS_ONLY, subject, reply, headers, body)
        if message is None:
            return
        try:
            self._queue(self.frame(message, None))
        except Poison as error:
            self._context.poison.note(message, str(error))

    def _queue(self, frame: bytes) -> None:
        if not self._pending:
            asyncio.get_running_loop().call_soon(self.flush)  # what arrives in one turn goes out in one write
        elif self._pending_bytes + len(frame) > _MOST_AT_ONCE:
            self._write()  # a turn may bring megabytes, and who has no room for them would hold them all
        self._pending.append(frame)
        self._pending_bytes += len(frame)

    def _show_late(self, message: Stored, frame: bytes) -> None:
        """A loss that later events did not reveal: whoever has not read it from the log is given it now."""
        self.flush()
        for reader in tuple(self.readers):
            if reader.lacks(message):
                reader.send(frame)

    def flush(self) -> None:
        """Write what is pending to every socket that follows live, and let in who waits for it."""
        if self._pending:
            self._write()
            self.catch_up.moved()

    def _write(self) -> None:
        count = len(self._pending)
        data = self._pending[0] if count == 1 else b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        before, self.flushed = self.flushed, self.positions()
        fds, size, write = self._fds, len(data), os.write
        if fds is None:  # a copy, since a write may change `ready`
            fds = self._fds = tuple(self.ready)
        if self.behind:
            for reader in tuple(self.behind):
                reader.write_behind(data, before)
        for fd in fds:
            try:
                sent = write(fd, data)
            except OSError:  # full or broken: the transport finds out which
                sent = 0
            if sent != size:
                self.ready[fd].link.transport.write(data[sent:])
        self.deliveries += count * (len(fds) + len(self.behind))

    # -- sockets ------------------------------------------------------------------------------------------------

    def join(self, reader: Reader, since: Positions) -> None:
        """Let a reader follow, from ``since`` on where that names a stream, else from now on."""
        self.readers[reader] = None
        self.catch_up.arrive(reader, since)
        if self.is_degraded:
            reader.send(self.connection_frame(reader, "degraded", recovered=False, positions=None))

    def leave(self, reader: Reader) -> None:
        """It follows no longer."""
        if self.readers.pop(reader, self) is None:
            self.set_aside(reader)
            self.catch_up.leave(reader)
            self._emptied()

    def _emptied(self) -> None:
        if self.is_unused:
            self._context.emptied(self)

    @property
    def is_unused(self) -> bool:
        """Whether it has no reader, and none is on its way in."""
        return not self.readers and self.lobby.is_empty

    def set_ready(self, reader: Reader) -> None:
        """It follows live: where nothing is held back, what comes is written straight to its descriptor."""
        link = reader.link
        if link.fd < 0 or not link.is_drained:  # without a descriptor (TLS) the transport must see every byte
            self.behind[reader] = None
        else:
            self.behind.pop(reader, None)
            self.ready[link.fd] = reader
            self._fds = None

    def set_behind(self, reader: Reader) -> None:
        """It has something held back: write through its transport, up to a limit."""
        if self.ready.pop(reader.link.fd, None) is not None:
            self._fds = None
            self.behind[reader] = None

    def set_aside(self, reader: Reader) -> None:
        """It is not written to live."""
        self.behind.pop(reader, None)
        if self.ready.get(reader.link.fd) is reader:
            del self.ready[reader.link.fd]
            self._fds = None

    def positions(self) -> dict[str, int]:
        """For each stream the position of what was shown last."""
        return {stream: chain.position for stream, chain in self.chains()}

    def chains(self) -> Iterable[tuple[str, Chain]]:
        """The state of each stream."""
        return self.follower.chains.items()

    def cursors(self, positions: dict[str, int]) -> dict[str, str]:
        """Positions as clients know them, by the letters of the streams."""
        return {
            LETTERS[stream]: str(self.follower.position(stream)._replace(seq=seq)) for stream, seq in positions.items()
        }

    def connection_frame(
        self, reader: Reader, status: str, *, recovered: bool, positions: dict[str, int] | None
    ) -> bytes:
        """The frame that tells a socket how it is connected, and from which positions it goes on."""
        payload = {
            "status": status,
            "connection_id": self.name,
            "socket_id": reader.link.socket_id,
            "edge": self._context.edge_id,
            "recovered": recovered,
        }
        if positions is not None:
            payload["cursors"] = self.cursors(positions)
        return control_frame("connection", payload=payload, timestamp=now())
