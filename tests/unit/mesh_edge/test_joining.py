"""Who joins a topic at rest is told, and given, the same as who has to wait for it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daena_mesh.cursors import Positions
from daena_mesh.log import Epoch
from mesh_edge.edge import Edge
from mesh_edge.settings import EdgeSettings
from mesh_edge.socket import Socket
from mesh_edge.topic import Topic
from mesh_edge.topic_name import chat


class Transport:
    """Keeps what is written, and has no descriptor."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def get_extra_info(self, _name: str) -> None:
        return None

    def set_write_buffer_limits(self, high: int) -> None:
        assert high == 0


def topic_at(edge: Edge, positions: dict[str, int]) -> Topic:
    """A topic that stands there and has shown all."""
    topic = Topic(chat("s"), edge._context)
    follower = topic.follower
    follower.hold, follower.is_live = None, True
    for stream, chain in follower.chains.items():
        chain.epoch = edge.mesh.log.epochs[stream].name
        chain.begin(positions[stream])
    topic.healed()
    return topic


def seen(topic: Topic, transport: Transport, socket: Socket) -> tuple[object, ...]:
    """What decides over what it is given from here on, and what it was given."""
    reader = socket.reader
    head = 2 if transport.data[1] < 126 else 4
    told = msgspec.json.decode(transport.data[head:])
    for passing in ("timestamp",), ("payload", "socket_id"):
        *path, last = passing
        (told[path[0]] if path else told).pop(last)
    return (
        *(told, reader.positions, reader.joined, reader.announce, reader.lived),
        *(reader in topic.readers, reader in topic.behind, topic.ready, topic._catch_up, topic._lobby),
    )


@settings(deadline=None)
@given(st.integers(0, 2**53), st.integers(0, 2**53), st.booleans())
@example(7, 9, True)
async def test_joining_at_once_is_as_joining_through_the_catch_up(records: int, signals: int, pending: bool) -> None:
    edge = Edge(EdgeSettings(nats_url="nats://127.0.0.1:1"))
    edge.mesh.log.epochs = {"RECORDS": Epoch("abc", 1), "SIGNALS": Epoch("def", 1)}
    outcomes = []
    for at_once in (True, False):
        topic = topic_at(edge, {"RECORDS": records, "SIGNALS": signals})
        transport = Transport()
        socket = Socket(cast("Any", transport), topic, edge)
        if pending:
            topic.queue(b"was shown before it came")
        assert topic.is_at_rest
        if at_once:
            topic.join(socket.reader, Positions())
        else:
            topic.readers[socket.reader] = None
            topic.catch_up.arrive(socket.reader, Positions())
            topic.tidy()
        await asyncio.sleep(0)  # the end of the turn
        outcomes.append(seen(topic, transport, socket))
    assert outcomes[0] == outcomes[1]
    await edge.close()


async def test_nobody_joins_at_once_where_somebody_waits_or_asks_for_what_was() -> None:
    edge = Edge(EdgeSettings(nats_url="nats://127.0.0.1:1"))
    edge.mesh.log.epochs = {"RECORDS": Epoch("abc", 1), "SIGNALS": Epoch("def", 1)}
    topic = topic_at(edge, {"RECORDS": 1, "SIGNALS": 1})
    states = [topic.is_at_rest]
    topic.missing = ("RECORDS", "SIGNALS")
    states.append(topic.is_at_rest)
    topic.missing, topic.follower.is_live = (), False
    states.append(topic.is_at_rest)
    topic.follower.is_live = True
    assert topic.catch_up.is_idle  # there is one: it may hold what was shown meanwhile
    states.append(topic.is_at_rest)
    topic.tidy()
    states.append(topic.is_at_rest)
    topic._is_open = False
    states.append(topic.is_at_rest)
    assert states == [True, False, False, False, True, False]
    await edge.close()
