"""The hot path: from a message that NATS sent to write(2), for all the sockets of a topic.

`daena_mesh.tap` cuts messages out of the bytes of the connection and finds the `Track` of their subject. That looks at
what the server says of the message, checks the body, makes the frame and queues it. At the end of the turn of the event
loop `Turn` has every topic written: one `os.write` for each socket, whatever the number of frames.

Only the usual message is handled here: one that fits on what was shown before, with a whole envelope, on a subject that
was seen. Everything else goes to the follower, which knows every case (`daena_mesh.follower`), and comes back through
`Fanout.queue`. So nothing here decides what is shown; it is a shorter way to the same frame.

With thousands of topics the processor waits for memory more than it computes: each message should touch as few objects
as can be (docs/experiments/hot-path.md).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from struct import Struct as Layout
from typing import TYPE_CHECKING

from daena_mesh.chain import Chain
from daena_mesh.codec import check_whole
from daena_mesh.connection import Connection
from daena_mesh.follower import Follower
from daena_mesh.stored import Stored
from daena_mesh.subjects import event_type_of
from mesh_edge.frames import text_frame
from mesh_edge.latency import Latency

if TYPE_CHECKING:
    from mesh_edge.catchup import CatchUp
    from mesh_edge.reader import Reader

_MOST_AT_ONCE = 65_536
_MOST_TRACKS = 4_096
_QUIET_S = 0.000_6
_LEAST_REST_S = 0.001
_MOST_REST_S = 0.004
_FEW_FRAMES = 4
_MARK = b"\r\nNats-Stream: %b\r\nNats-Subject: %b\r\nNats-Sequence: "
_log = logging.getLogger(__name__)

_middle_head = Layout(">BBH").pack


class Track:
    """The short way of the messages on one subject of a topic, with all that is the same for each of them."""

    __slots__ = ("_chain", "_event_type", "_frame", "_mark", "_stream", "_subject", "_topic")

    def __init__(self, topic: Fanout, label: bytes, epoch: bytes, message: Stored, chain: Chain) -> None:
        """Of a message that was shown; ``label`` names the topic, ``epoch`` begins cursors, such as ``Rk3f-``."""
        self._topic = topic
        self._chain = chain
        self._stream = message.stream
        self._subject = message.subject
        self._event_type = sys.intern(event_type_of(message.subject.decode()))
        self._mark = _MARK % (message.stream.encode(), message.subject)
        head = b'{"topic":"%b","cursor":"%b\0","prev":"%b\0","subject":"%b",' % (label, epoch, epoch, message.subject)
        cursor, prev, rest = head.replace(b"%", b"%%").split(b"\0")
        self._frame = cursor + b"%b" + prev + b"%d" + rest + b"%b"
        """For the sequence, the position before it, and the body without its opening brace."""

    def take(self, headers: bytes, body: bytes) -> bool:
        """Take a live message; see `daena_mesh.stored.read_live` for what makes one believable."""
        # The server's headers are the last. Where three lines follow the mark, it is the server's, and no publisher's.
        at = headers.find(self._mark)
        lines = headers[at + len(self._mark) :].split(b"\r\n")
        if (
            at < 0
            or len(lines) != 5
            or lines[1][:17] != b"Nats-Time-Stamp: "
            or lines[2][:20] != b"Nats-Last-Sequence: "
        ):
            return False

        # Does it fit on what was shown?
        topic, chain = self._topic, self._chain
        seq = int(lines[0])
        if chain.whole:
            if seq != chain.seen + 1:
                return False
        elif seq <= chain.seen or int(lines[2][20:]) > chain.by_subject.get(self._subject, -1):
            return False

        # Is it a whole event?
        if len(body) > topic.most_bytes or body[:1] != b"{" or not check_whole(body, self._event_type):
            return False

        before = chain.position
        chain.seen = seq
        if seq > chain.reach:  # noqa: PLR1730 - a call costs as much as this whole step
            chain.reach = seq
        if not chain.whole:
            chain.by_subject[self._subject] = seq
        text = self._frame % (lines[0], before, body[1:])
        size = len(text)
        # Nearly all frames have this size, and a call for each would show.
        frame = _middle_head(0x81, 126, size) + text if 126 <= size < 65_536 else text_frame(text)
        topic.queue(frame)
        chain.position = seq  # not before: queueing may write what came until now, and note up to where that was
        if topic.is_remembering:
            topic.catch_up.remember(self._stream, seq, before, frame)
        return True


class Fanout:
    """Takes live messages of one topic, and writes them to its sockets."""

    __slots__ = (
        *("behind", "deliveries", "delivered_bytes", "follower", "is_remembering", "most_bytes", "ready"),
        *("_fds", "_first", "_more", "_more_bytes", "_tracks", "_turn"),
    )

    follower: Follower

    @property
    def catch_up(self) -> CatchUp:
        """Its readers that are served from the log."""
        raise NotImplementedError

    def __init__(self, turn: Turn, most_bytes: int) -> None:
        """``most_bytes`` is the largest body that is shown."""
        self.most_bytes = most_bytes
        self.ready: dict[int, Reader] = {}
        """Who has nothing held back, by descriptor: what is written there is in order."""
        self.behind: dict[Reader, None] = {}
        """Who holds something back, and is written to through the transport."""
        self.deliveries = 0
        self.delivered_bytes = 0
        self.is_remembering = False
        """Somebody catches up, and will want what is shown meanwhile."""
        self._turn = turn
        self._tracks: dict[bytes, Track] = {}
        self._fds: tuple[int, ...] | None = ()
        self._first = b""
        """The frame that is pending; empty for none."""
        self._more: list[bytes] | None = None
        """Those that are pending behind it."""
        self._more_bytes = 0

    # -- from NATS ----------------------------------------------------------------------------------------------

    def learn(self, label: bytes, epoch: bytes, message: Stored, chain: Chain) -> None:
        """The follower showed a live message: the next one on its subject may take the short way."""
        subscription = self.follower.subscription_of(message.subject)
        if subscription is not None:
            which = b"live.%b %b" % (message.subject, subscription)
            if which not in self._tracks:
                if len(self._tracks) >= _MOST_TRACKS:
                    self.unlearn()
                self._tracks[which] = self._turn.shortcuts[which] = Track(self, label, epoch, message, chain)

    def unlearn(self) -> None:
        """Live messages are held back, or their positions changed their meaning: the follower takes all that come."""
        for which in self._tracks:
            del self._turn.shortcuts[which]
        self._tracks.clear()

    # -- to the sockets -----------------------------------------------------------------------------------------

    def queue(self, frame: bytes) -> None:
        """Have a frame written at the end of this turn, together with what else it brings."""
        if not self._first:
            self._first = frame
            self._turn.add(self)
        elif (size := (self._more_bytes or len(self._first)) + len(frame)) > _MOST_AT_ONCE:
            self._write()  # a turn may bring megabytes, and who has no room for them would hold them all
            self._first = frame
        else:
            self._more_bytes = size
            if self._more is None:
                self._more = [frame]
            else:
                self._more.append(frame)

    @property
    def pending(self) -> bytes:
        """The first frame that is not written yet; empty where there is none."""
        return self._first

    def flush(self) -> int:
        """Write what is pending to every socket that follows live, and let in who waits for it; how many frames."""
        if not self._first:
            return 0
        count = self._write()
        if self.is_remembering:
            self.catch_up.moved()
        return count

    def _write(self) -> int:
        data, count = self._first, 1
        self._first = b""
        if self._more is not None:
            count += len(self._more)
            data = b"".join([data, *self._more])
            self._more, self._more_bytes = None, 0
        if self.behind:
            self._write_behind(data)
            self.deliveries += count * len(self.behind)
            self.delivered_bytes += len(data) * len(self.behind)
        for chain in self.follower.chains.values():
            chain.flushed = chain.position
        fds, size, write = self._fds, len(data), os.write
        if fds is None:  # a copy, since a write may change `ready`
            fds = self._fds = tuple(self.ready)
        for fd in fds:
            try:
                sent = write(fd, data)
            except OSError:  # full or broken: the transport finds out which
                sent = 0
            if sent != size:
                self.ready[fd].link.transport.write(data[sent:])
        self.deliveries += count * len(fds)
        self.delivered_bytes += size * len(fds)
        return count

    def _write_behind(self, data: bytes) -> None:
        before = {stream: chain.flushed for stream, chain in self.follower.chains.items()}
        for reader in tuple(self.behind):
            reader.write_behind(data, before)

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
        if self.ready.get(reader.link.fd) is reader:
            del self.ready[reader.link.fd]
            self._fds = None
            self.behind[reader] = None

    def set_aside(self, reader: Reader) -> None:
        """It is not written to live."""
        self.behind.pop(reader, None)
        if self.ready.get(reader.link.fd) is reader:
            del self.ready[reader.link.fd]
            self._fds = None


class Turn:
    """What one turn of the event loop brought, for all topics of an edge.

    After a busy turn NATS is left unread for a moment. What comes meanwhile is written together: fewer, larger writes,
    as network cards do it.
    """

    def __init__(self, connection: Connection) -> None:
        """Of the edge whose messages come through ``connection``."""
        self._connection = connection
        self.shortcuts = connection.shortcuts
        self.latency = Latency()
        self._topics: list[Fanout] = []
        self._ended = 0.0
        self._rest_s = 0.0

    def add(self, topic: Fanout) -> None:
        """``topic`` has something to write."""
        if not self._topics:
            self._connection.after_turn(self._end)
        self._topics.append(topic)

    def _end(self) -> None:
        began = time.perf_counter()
        topics, self._topics = self._topics, []
        frames, sample = 0, topics[0].pending
        for topic in topics:
            try:
                frames += topic.flush()
            except Exception:  # noqa: BLE001 - one topic must not hold up the others
                _log.exception("a topic could not be written")
        ended = time.perf_counter()
        self.latency.sample(sample, ended)
        self._rest_s = rest_s(ended - began, frames, began - self._ended, self._rest_s)
        self._ended = ended + self._rest_s
        if self._rest_s:
            self._connection.rest(self._rest_s)


def rest_s(spent_s: float, frames: int, quiet_s: float, rested_s: float) -> float:
    """How long NATS is left unread after a turn, in seconds, in steps of milliseconds: the timers of event loops.

    Args:
        spent_s: how long the turn's writes took.
        frames: how many frames it brought.
        quiet_s: the time between the end of the rest before it and its beginning.
        rested_s: how long that rest was.
    """
    if quiet_s >= _QUIET_S:
        rest = 0.0
    elif rested_s and frames < _FEW_FRAMES:
        rest = rested_s / 2
    else:
        rest = max(_LEAST_REST_S, 2 * rested_s)
    rest = min(max(rest, spent_s), _MOST_REST_S)
    return rest if rest >= _LEAST_REST_S else 0.0
