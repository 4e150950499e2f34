"""How a topic writes: the frames of a turn together, but never more at once than a slow socket may hold."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from daena_mesh.connection import Connection
from mesh_edge.fanout import Turn
from mesh_edge.reader import Reader
from mesh_edge.topic import Topic


class Behind:
    """A socket that holds something back, and notes what it is given."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write_behind(self, data: bytes, before: dict[str, int]) -> None:
        self.writes.append(data)


def topic_of(socket: Behind, moves: list[int]) -> Topic:
    """A topic with the state that writing needs."""
    topic = object.__new__(Topic)
    topic.ready, topic.behind, topic._fds = {}, {cast("Reader", socket): None}, ()
    topic._first, topic._more, topic._more_bytes = b"", None, 0
    topic.deliveries = topic.delivered_bytes = 0
    topic.follower = cast("Any", SimpleNamespace(chains={}))
    topic._turn, topic.is_remembering = Turn(Connection([], name="nobody")), True
    topic._catch_up = cast("Any", SimpleNamespace(moved=lambda: moves.append(len(socket.writes))))
    return topic


async def test_what_comes_in_one_turn_goes_out_in_one_write() -> None:
    socket, moves = Behind(), list[int]()
    topic = topic_of(socket, moves)
    for i in range(5):
        topic.queue(b"frame %d " % i)
    assert socket.writes == []
    await asyncio.sleep(0)
    assert socket.writes == [b"frame 0 frame 1 frame 2 frame 3 frame 4 "]
    assert moves == [1]
    assert topic.deliveries == 5


async def test_a_turn_of_megabytes_goes_out_in_pieces_and_lets_nobody_in_between() -> None:
    socket, moves = Behind(), list[int]()
    topic = topic_of(socket, moves)
    frames = [b"%04d" % i * 250 for i in range(2_000)]
    for frame in frames:
        topic.queue(frame)
    assert moves == []  # who would join in the middle of an event would be given it twice
    for _ in range(3):
        await asyncio.sleep(0)
    assert b"".join(socket.writes) == b"".join(frames)
    assert max(map(len, socket.writes)) <= 65_536
    assert len(socket.writes) == 31
    assert moves == [31]
    topic.queue(b"x" * 100_000)
    await asyncio.sleep(0)
    assert len(socket.writes) == 32
