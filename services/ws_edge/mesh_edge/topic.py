"""A topic with sockets on this edge: one encoding for each event, one write for each socket and turn.

A socket in `ready` has nothing held back, so what is written to its descriptor is in order. One that does not take
what it is given goes to `behind`, up to some bytes, and then only its position is kept: it is served from the log at
its own pace (`catchup`). Nothing is queued for a client here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from daena_mesh import trace
from daena_mesh.chain import Chain
from daena_mesh.codec import Poison
from daena_mesh.connection import Subscription
from daena_mesh.cursors import Cursor, Positions
from daena_mesh.follower import Follower, GapReason
from daena_mesh.ids import now
from daena_mesh.layout import LETTERS, SIGNALS, STREAM_OF_LETTER
from daena_mesh.log import Log
from daena_mesh.stored import Stored, read_live
from daena_mesh.subjects import event_type_of
from daena_mesh.want import Filters
from mesh_edge.catchup import CatchUp
from mesh_edge.closing import Closing
from mesh_edge.control import connection_text, gap_text
from mesh_edge.counts import Counts
from mesh_edge.envelope import event_text, is_notice
from mesh_edge.fanout import Fanout, Turn
from mesh_edge.lobby import Go, Keeper, Lobby
from mesh_edge.poison import PoisonCabinet
from mesh_edge.presence import Presence
from mesh_edge.topic_name import TopicName
from mesh_edge.wire import FRAMES, Wire

if TYPE_CHECKING:
    from mesh_edge.reader import Reader

_SIGNALS_ONLY = {b"Nats-Stream: " + SIGNALS.encode(): SIGNALS}


class TopicContext(NamedTuple):
    """What all topics of an edge share."""

    edge_id: str
    log: Log
    poison: PoisonCabinet
    turn: Turn
    emptied: Callable[[Topic], None]
    """Called when the last reader has left."""
    presence: Presence
    counts: Counts


class Topic(Fanout):
    """Follows its subjects for all readers at once, and is what they are shown through."""

    __slots__ = (
        *("key", "label", "missing", "name", "readers", "wire"),
        *("_catch_up", "_context", "_is_open", "_lobby", "_notices", "_prefixes"),
    )

    def __init__(self, name: TopicName, context: TopicContext) -> None:
        """Nothing happens before `start`."""
        super().__init__(context.turn, context.log.settings.max_body_bytes)
        self.key = name
        self.name = name.name
        self.wire: Wire = name.wire
        self.label = name.name.encode()
        self.readers: dict[Reader, None] = {}
        self._context = context
        self.missing: tuple[str, ...] = ()
        """The streams of which its readers were told that events may be missing for a while."""
        self._prefixes: dict[str, bytes] = {}
        self._lobby: Lobby | None = None
        self._is_open = False
        self.follower = Follower(context.log, name.followed, self)
        self._catch_up: CatchUp | None = None
        self._notices: Subscription | None = None
        if not self.has_all_notices:
            subject = f"live.system.{name.name}.notice"
            self._notices = context.log.connection.subscribe(subject, self.notice)

    @property
    def counts(self) -> Counts:
        """What the edge counts."""
        return self._context.counts

    def start(self) -> None:
        """Follow."""
        self.follower.start(self if self.wire is FRAMES else None)

    def stop(self) -> None:
        """Follow no longer."""
        self.follower.stop()
        if self._catch_up is not None:
            self._catch_up.stop()
        if self._notices is not None:
            self._context.log.connection.unsubscribe(self._notices)

    @property
    def is_degraded(self) -> bool:
        """Whether its readers were told that events may be missing for a while."""
        return bool(self.missing)

    @property
    def takes_readers(self) -> bool:
        """Whether it knows where it stands in what can be read at the moment, so that somebody may come in."""
        follower = self.follower
        return follower.is_live and (not self.is_degraded or (bool(follower.silent) and not follower.is_healing))

    @property
    def has_all_notices(self) -> bool:
        """Whether every notice is among its subjects."""
        return ">" in self.key.patterns

    @property
    def lingers(self) -> bool:
        """Whether it is followed for a while after its last reader has left."""
        return True

    def refusal(self, user: str | None, guest: Go | None = None) -> Closing | None:  # noqa: ARG002 - that was asked
        """Why ``user``, who is a ``guest`` of its lobby, may not follow; None where they may."""
        return None

    @property
    def keeper(self) -> Keeper | None:
        """Who stands in its lobby, if anybody."""
        return None

    @property
    def may_be_read(self) -> bool:
        """Whether its readers may be given what the log has."""
        return True

    @property
    def shown(self) -> Filters:
        """For each stream the patterns of what it shows."""
        return self.follower.filters

    def hides(self, message: Stored) -> bool:  # noqa: ARG002 - this one has nothing to hide
        """Whether a message that it follows is shown to nobody."""
        return False

    # -- who is on the way ---------------------------------------------------------------------------------------

    # A topic that is at rest has neither a lobby nor anybody who catches up: thousands of them may idle.

    @property
    def lobby(self) -> Lobby:
        """Where clients wait until the topic knows where it stands."""
        if self._lobby is None:
            self._lobby = Lobby(late=self.degraded, emptied=self._emptied, keeper=self.keeper)
            self._lobby.is_open = self._is_open
        return self._lobby

    @property
    def catch_up(self) -> CatchUp:
        """Its readers that are served from the log."""
        if self._catch_up is None:
            self._catch_up = CatchUp(self, self._context.log)
        return self._catch_up

    def tidy(self) -> None:
        """Keep nothing for who is on the way if nobody is."""
        if self._catch_up is not None and self._catch_up.is_idle:
            self._catch_up = None
        if self._lobby is not None and self._lobby.is_open and self._lobby.is_empty:
            self._lobby = None

    def _open(self) -> None:
        self._is_open = True
        if self._lobby is not None:
            self._lobby.open()

    # -- what is shown ------------------------------------------------------------------------------------------

    def event(self, message: Stored, prev: int | None) -> bool:
        """Make the frame and queue it for the write at the end of this turn."""
        try:
            frame = self.frame(message, prev)
        except Poison as error:
            self._context.poison.note(message, str(error))
            return False
        if is_notice(message):
            self.queue(frame)
            return False
        chain = self.follower.chains[message.stream]
        if message.seq < chain.seen:  # poison and notices count: somebody may have read the log past them
            self._show_late(message, frame)
            chain.flushed = max(chain.flushed, message.seq)
            if self.is_remembering:
                self.catch_up.remember(message.stream, message.seq, chain.position, frame)
            return True
        self.queue(frame)
        if self.is_remembering:
            self.catch_up.remember(message.stream, message.seq, chain.position, frame)
        if trace.is_on():  # then messages come here, each of them: what is learned would pass it by
            self._trace(message)
        elif prev is not None and self.follower.hold is None and self.wire is FRAMES:
            self.learn(self.label, self._prefixes[message.stream], message, chain)
        return True

    def _trace(self, message: Stored) -> None:
        if parent := trace.of_headers(message.headers):
            subject, sockets = message.subject.decode(), len(self.ready)
            with trace.span(
                f"deliver {event_type_of(subject)}", "consumer", parent=parent, topic=self.name, sockets=sockets
            ):
                pass

    def frame(self, message: Stored, prev: int | None, at: Mapping[str, int] | None = None) -> bytes:
        """A message as this topic's readers are given it, with the positions ``at`` after it; raises `Poison`."""
        stream = message.stream
        if (prefix := self._prefixes.get(stream)) is None:
            if stream in self.follower.chains:
                epoch = self.follower.position(stream).epoch
                prefix = self._prefixes[stream] = f"{LETTERS[stream]}{epoch}-".encode()
            else:  # a notice, which a topic that follows no signals is shown too
                prefix = str(self._context.log.position(stream, 0)).encode()[:-1]
        text = event_text(self.label, message, prefix, prev, self._context.log.settings.max_body_bytes)
        if self.wire is FRAMES:
            return self.wire.event(text, "")
        if is_notice(message):
            return self.wire.control(text)
        if at is None:
            if message.seq < self.follower.chains[stream].seen:  # late: not every reader has all of what is shown
                return self.wire.control(text)
            at = self.positions()
            at[stream] = max(at[stream], message.seq)
        return self.wire.event(text, self._place(at))

    def gap_frame(self, before: Cursor, after: Cursor, reason: GapReason) -> bytes:
        """What tells of events that cannot be shown."""
        self.counts.gaps[reason] += 1
        return self.wire.control(gap_text(self.name, before, after, reason))

    def gap(self, before: Cursor, after: Cursor, reason: GapReason) -> None:
        """Tell every socket what it cannot be shown."""
        self.flush()
        self._prefixes.clear()
        self.unlearn()
        self.catch_up.forget()
        frame = self.gap_frame(before, after, reason)
        stream = STREAM_OF_LETTER[after.letter]
        for reader in self.readers:
            if not self.catch_up.is_waiting(reader):
                reader.jump(stream, after.seq)
                reader.send(frame)
        self.follower.chains[stream].flushed = after.seq

    def degraded(self) -> None:
        """Tell every reader, once, that events may be missing for a while."""
        chains, led = self.follower.chains, self._context.log.led
        silent = () if self.follower.is_healing else tuple(stream for stream in chains if stream not in led)
        self._tell_missing(silent or tuple(chains))
        self._open()

    def _tell_missing(self, streams: tuple[str, ...]) -> None:
        if self.missing != streams:
            self.missing = streams
            for reader in self.readers:
                reader.send(self.connection_frame(reader, "degraded", recovered=False, positions=None))

    def healed(self) -> None:
        """Let in who waits for that, and tell who was told otherwise."""
        self.flush()
        if silent := self.follower.silent:
            self._tell_missing(silent)
        elif self.is_degraded:
            if self._context.log.connection.state != "connected":
                return  # it tells once more when it is
            self.missing = ()
            for reader in self.readers:
                if not self.catch_up.is_waiting(reader):
                    positions = self.positions() if reader.positions is None else reader.positions
                    recovered = reader.positions is None
                    reader.announce = not recovered  # it is told once it has come to the head
                    reader.send(self.connection_frame(reader, "connected", recovered=recovered, positions=positions))
        for _, chain in self.chains():
            chain.flushed = chain.position
        if self._catch_up is not None:
            self._catch_up.admit_waiting()
            self.tidy()
        self._open()

    def notice(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        """Show a live message that may be of no subject of the topic: to its group, or to all."""
        message = read_live(_SIGNALS_ONLY, subject, reply, headers, body)
        if message is None or not self.follower.is_live:
            return  # nobody was greeted yet, and epochs may not be known
        try:
            self.queue(self.frame(message, None))
        except Poison as error:
            self._context.poison.note(message, str(error))

    def _show_late(self, message: Stored, frame: bytes) -> None:
        """A loss that later events did not reveal: whoever has not read it from the log is given it now."""
        self.flush()
        for reader in tuple(self.readers):
            if reader.lacks(message):
                reader.send(frame)

    # -- readers ------------------------------------------------------------------------------------------------

    def join(self, reader: Reader, since: Positions, history: int = 0) -> None:
        """Let a reader follow, from ``since`` on where that names a stream, else from now on.

        Without any position it begins with the newest ``history`` events.
        """
        self.readers[reader] = None
        if (who := reader.link.visitor.present_as) is not None:
            self._context.presence.arrive(self.name, who)
        if self.is_at_rest and not since and not history:
            self._join_here(reader)
            return
        self.catch_up.arrive(reader, since, history)
        if self.is_degraded and self.catch_up.is_waiting(reader):
            reader.send(self.connection_frame(reader, "degraded", recovered=False, positions=None))
        self.tidy()

    @property
    def is_at_rest(self) -> bool:
        """Whether it knows where it stands, and nobody catches up or is told that events may be missing."""
        return self._is_open and self.follower.is_live and not self.is_degraded and self._catch_up is None

    def _join_here(self, reader: Reader) -> None:
        """What `CatchUp` does for who asks for nothing that was: for most, and thousands at once after a restart."""
        self.flush()
        positions = self.positions()
        reader.positions, reader.joined, reader.announce = None, positions, False
        self.set_ready(reader)
        reader.send(self.connection_frame(reader, "connected", recovered=True, positions=positions))

    def leave(self, reader: Reader) -> None:
        """It follows no longer."""
        if self.readers.pop(reader, self) is None:
            self.set_aside(reader)
            if self._catch_up is not None:
                self._catch_up.leave(reader)
            if (who := reader.link.visitor.present_as) is not None:
                self._context.presence.depart(self.name, who)
            self._emptied()

    def _emptied(self) -> None:
        self.tidy()
        if self.is_unused:
            self._context.emptied(self)

    @property
    def is_unused(self) -> bool:
        """Whether it has no reader, and none is on its way in."""
        return not self.readers and (self._lobby is None or self._lobby.is_empty)

    def positions(self) -> dict[str, int]:
        """For each stream the position of what was shown last."""
        return {stream: chain.position for stream, chain in self.chains()}

    def chains(self) -> Iterable[tuple[str, Chain]]:
        """The state of each stream."""
        return self.follower.chains.items()

    def cursors(self, positions: Mapping[str, int]) -> dict[str, str]:
        """Positions as clients know them, by the letters of the streams."""
        chains = self.follower.chains
        return {LETTERS[stream]: f"{LETTERS[stream]}{chains[stream].epoch}-{seq}" for stream, seq in positions.items()}

    def greeting(self, reader: Reader, *, recovered: bool, positions: dict[str, int]) -> bytes:
        """The frame that tells a socket that it is let in, or, where it is ``recovered``, has come to the head."""
        if self.is_degraded:
            return self.connection_frame(reader, "degraded", recovered=False, positions=positions)
        return self.connection_frame(reader, "connected", recovered=recovered, positions=positions)

    def connection_frame(
        self, reader: Reader, status: str, *, recovered: bool, positions: dict[str, int] | None
    ) -> bytes:
        """The frame that tells a socket how it is connected, and from which positions it goes on."""
        cursors = None if positions is None else self.cursors(positions)
        known = None if cursors is None else tuple(cursors.items())
        missing = tuple(LETTERS[stream] for stream in self.missing) if status == "degraded" else ()
        head, middle = connection_text(
            status, self.name, self._context.edge_id, known, recovered=recovered, missing=missing
        )
        text = b'%b%b%b%b"}' % (head, reader.link.socket_id.encode(), middle, now().encode())
        return self.wire.control(text, ".".join(cursors.values()) if cursors else "")

    def _place(self, positions: Mapping[str, int]) -> str:
        return ".".join(self.cursors(positions).values())
