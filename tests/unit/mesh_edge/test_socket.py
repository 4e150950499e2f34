"""What a socket decides: whom a late find is owed to, what a gap changes, who is stuck. Without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from daena_mesh.stored import Stored
from mesh_edge import closing
from mesh_edge.closing import Closing
from mesh_edge.conversation import Rules
from mesh_edge.counts import Counts
from mesh_edge.link import Link
from mesh_edge.socket import Socket
from mesh_edge.topic import Topic
from tests.support.ws_client import masked


class Wire(asyncio.Transport):
    """A transport that keeps what is written: as much of it as the kernel would not take is held back."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.held_back = 0
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.held_back

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return object() if name == "ssl_object" else default  # as if encrypted: no descriptor of its own

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True


class Group:
    """The topic, as far as a socket looks at it: it notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.catch_up = self
        self.counts = Counts()

    def __getattr__(self, name: str) -> Any:
        return lambda _reader: self.told.append(name)


class Host:
    behind_bytes = 1_000
    frame_bytes = 65_536
    rules = cast("Rules", None)

    def __init__(self) -> None:
        self.counts = Counts()
        self.lost_links: list[Link] = []

    def settle(self, token: str, go: Callable[[], object]) -> None:
        go()

    def renew(self, link: Link, token: str) -> Closing | None:
        raise NotImplementedError

    def lost(self, link: Link) -> None:
        self.lost_links.append(link)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.fixture
def socket(wire: Wire, group: Group) -> Socket:
    return Socket(wire, cast("Topic", group), Host())


def stored(seq: int, stream: str = "RECORDS") -> Stored:
    return Stored(stream, b"chat.s1.message", seq, 0, b"", b"", b"{}")


def join(socket: Socket, seq: int) -> None:
    """As `CatchUp` does."""
    socket.reader.positions, socket.reader.joined = None, {"RECORDS": seq}


def fall_behind(socket: Socket, wire: Wire, seq: int) -> None:
    """Live frames come that do not fit, after those up to ``seq``."""
    wire.held_back, socket.is_drained = 1_000, False
    socket.reader.write_behind(b"x" * 10, {"RECORDS": seq})


def test_a_socket_that_is_served_from_the_log_lacks_nothing(socket: Socket) -> None:
    socket.reader.positions = {"RECORDS": 100}
    assert not any(socket.reader.lacks(stored(seq)) for seq in (1, 99, 100, 101))


def test_a_live_socket_lacks_what_was_missed_since_it_joined(socket: Socket) -> None:
    join(socket, 5)
    assert [seq for seq in range(10) if socket.reader.lacks(stored(seq))] == [6, 7, 8, 9]
    assert socket.reader.lacks(stored(1, "SIGNALS"))


def test_what_was_missed_while_it_was_live_is_owed_also_after_it_read_the_log(socket: Socket, wire: Wire) -> None:
    """It was live behind 5 up to 9, read the log up to 20, and is live again behind that."""
    join(socket, 5)
    fall_behind(socket, wire, 9)
    assert [seq for seq in range(30) if socket.reader.lacks(stored(seq))] == [6, 7, 8, 9]
    socket.reader.positions = {"RECORDS": 20}
    assert [seq for seq in range(30) if socket.reader.lacks(stored(seq))] == [6, 7, 8, 9]
    join(socket, 20)
    assert [seq for seq in range(24) if socket.reader.lacks(stored(seq))] == [6, 7, 8, 9, 21, 22, 23]


def test_however_often_it_fell_behind_nothing_is_forgotten_and_memory_is_bounded(socket: Socket, wire: Wire) -> None:
    lacking = set()
    for begin in range(0, 10_000, 100):
        join(socket, begin)
        fall_behind(socket, wire, begin + 10)
        lacking |= set(range(begin + 1, begin + 11))
    assert len(socket.reader.lived) <= 16
    found = {seq for seq in range(10_100) if socket.reader.lacks(stored(seq))}
    assert lacking <= found
    assert found - lacking <= set(range(8_500))  # of long ago perhaps a little more, never less


def test_a_jump_moves_where_it_stands_and_nothing_before_it_is_owed(socket: Socket, wire: Wire) -> None:
    join(socket, 5)
    fall_behind(socket, wire, 9)
    socket.reader.jump("RECORDS", 50)
    assert socket.reader.positions == {"RECORDS": 50}
    assert not any(socket.reader.lacks(stored(seq)) for seq in range(60))
    join(socket, 5)
    socket.reader.jump("RECORDS", 50)
    assert [seq for seq in range(53) if socket.reader.lacks(stored(seq))] == [51, 52]


def test_a_socket_with_too_much_held_back_keeps_its_position_alone(socket: Socket, wire: Wire, group: Group) -> None:
    join(socket, 5)
    wire.held_back, socket.is_drained = 900, False
    socket.reader.write_behind(b"x" * 100, {"RECORDS": 9})
    assert (wire.written, socket.reader.positions) == ([b"x" * 100], None)
    wire.held_back = 1_000
    socket.reader.write_behind(b"y", {"RECORDS": 10})
    assert wire.written == [b"x" * 100]
    assert socket.reader.positions == {"RECORDS": 10}
    assert group.told == ["set_aside"]
    socket.resume_writing()
    assert group.told == ["set_aside", "go_on"]


def test_it_is_stuck_when_what_is_held_back_has_not_become_less(socket: Socket, wire: Wire) -> None:
    assert not socket.is_stuck(0.0, 10)
    socket.pause_writing()
    wire.held_back = 500
    assert not socket.is_stuck(1.0, 10)
    assert not socket.is_stuck(10.9, 10)
    assert socket.is_stuck(11.0, 10)
    wire.held_back = 499
    assert not socket.is_stuck(12.0, 10)
    assert not socket.is_stuck(21.9, 10)
    assert socket.is_stuck(22.0, 10)
    socket.resume_writing()
    assert not socket.is_stuck(40.0, 10)


def test_what_the_edge_adds_itself_is_no_progress(socket: Socket, wire: Wire) -> None:
    socket.pause_writing()
    wire.held_back = 500
    assert not socket.is_stuck(0.0, 10)
    for at in range(1, 10):
        wire.held_back += 2
        socket.send(b"\x8a\x00")  # a pong to what it asked
        assert not socket.is_stuck(float(at), 10)
    assert socket.is_stuck(10.0, 10)


def test_who_has_something_held_back_is_not_pinged(socket: Socket, wire: Wire) -> None:
    socket.ping()
    assert wire.written == [b"\x89\x00"]
    socket.pause_writing()
    socket.ping()
    assert wire.written == [b"\x89\x00"]


async def test_a_close_says_why_and_nothing_follows_it(socket: Socket, wire: Wire, group: Group) -> None:
    socket.close(closing.TOO_SLOW)
    socket.close(closing.RESTART)
    socket.send(b"late")
    assert wire.written == [b"\x88" + _close(closing.TOO_SLOW)]
    assert group.told == ["leave"]
    socket.data_received(masked(0x88, b"\x11\x38"))
    assert wire.is_closed


def _close(why: closing.Closing) -> bytes:
    reason = why.reason.encode()
    return bytes((2 + len(reason),)) + why.code.to_bytes(2, "big") + reason


async def test_who_waits_for_the_end_is_told_once_also_when_it_came_before(socket: Socket) -> None:
    ends: list[int] = []
    socket.when_lost(lambda: ends.append(1))
    socket.when_lost(lambda: ends.append(2))
    socket.connection_lost(None)
    socket.when_lost(lambda: ends.append(3))
    assert ends == [1, 2, 3]
