"""The hot path shows the same frames as the follower alone, whatever comes, and rests when it pays."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from daena_mesh.log import Epoch
from daena_mesh.tap import Tap
from mesh_edge.edge import Edge
from mesh_edge.fanout import rest_s
from mesh_edge.settings import EdgeSettings
from mesh_edge.topic import Topic
from mesh_edge.topic_name import TopicName, agent, events
from mesh_edge.wire import EVENT_STREAM

BODIES = [
    b'{"event_type":"agent.activity","payload":{"activity":"x"},"id":"i-1","timestamp":"2026-11-23T00:00:00Z"}',
    b'{"event_type":"agent.activity","payload":{},"id":"i","timestamp":"t","source":null,"more":[1,{"a":"\\u00e9"}]}',
    '{"event_type":"agent.activity","payload":{"activity":"\u00e9"},"id":"i","timestamp":"t","source":"s"}'.encode(),
    b'  {"event_type":"agent.activity","payload":{},"id":"i","timestamp":"t"}',
    b'{"event_type":"agent.activity","payload":{},"id":"i","timestamp":"t"}\n',
    b'{"event_type":"agent.activity","payload":{}}',
    b'{"event_type":"agent.activity","payload":[],"id":"i","timestamp":"t"}',
    b'{"event_type":"agent.status","payload":{},"id":"i","timestamp":"t"}',
    b'{"event_type":"agent.activity","payload":{"a":"\xff"},"id":"i","timestamp":"t"}',
    b'{"event_type":"agent.activity","payload":{},"id":"i","timestamp":"t","cursor":"forged"}',
    b'{"event_type":"agent.activity","payload":{},"id":1,"timestamp":"t"}',
    b'{"event_type":"agent.activity","payload":{},"id":"i","timestamp":"t"',
    b'{"activity":{"state":"searching"}}',
    b"plain text",
    b"",
    b'{"event_type":"agent.activity","payload":{"a":"' + b"x" * 70_000 + b'"},"id":"i","timestamp":"t"}',
    b'{"event_type":"agent.activity","payload":{"a":"' + b"x" * 300 + b'"},"id":"i","timestamp":"t"}',
]
SUBJECTS = [b"agent.a.activity", b"agent.a.activity.me", b"agent.a.status", b"task.t.update.a", b"chat.s.message"]
STREAMS = [b"SIGNALS", b"RECORDS"]

Live = tuple[int, int, int, int, int, str]
lives = st.tuples(
    st.integers(0, len(SUBJECTS) - 1),
    st.sampled_from([1, 1, 1, 1, 2, 0]),  # by how much the sequence grows
    st.sampled_from([0, 0, 0, 0, 1, -1]),  # how wrong its previous one is
    st.integers(0, len(BODIES) - 1),
    st.sampled_from([0, 0, 0, 0, 0, 0, 1]),  # the stream
    st.sampled_from(["", "", "", "", "", "reply", "subject", "order", "short", "publisher", "forged", "swallowed"]),
)
PLAIN: Live = (0, 1, 0, 0, 0, "")


def topic_of(edge: Edge, name: TopicName) -> Topic:
    """A topic that stands at 0, with nothing to wait for."""
    topic = edge._topics[name] = Topic(name, edge._context)
    follower = topic.follower
    follower.hold, follower._since, follower._short_way = None, None, topic
    connection = edge.mesh.connection
    follower._subscriptions = [connection.subscribe(f"live.{pattern}", follower.receive) for pattern in name.patterns]
    for stream, chain in follower.chains.items():
        chain.epoch = edge.mesh.log.epochs[stream].name
        chain.begin(0)
    return topic


def on_the_wire(live: Live, last: dict[bytes, int], seq: int) -> tuple[bytes, bytes, bytes, bytes]:
    """What the server sends for it: subject, reply, headers, body."""
    subject, _, wrong, body, stream, oddity = live
    name = SUBJECTS[subject]
    lines = [
        b"Nats-Stream: " + STREAMS[stream],
        b"Nats-Subject: " + (b"agent.b.activity" if oddity == "subject" else name),
        b"Nats-Sequence: %d" % seq,
        b"Nats-Time-Stamp: 2026-11-23T02:07:59.244439409Z",
        b"Nats-Last-Sequence: %d" % max(0, last.get(name, 0) + wrong),
    ]
    if oddity == "order":
        lines[2], lines[4] = lines[4], lines[2]
    if oddity == "short":
        del lines[3]
    if oddity == "publisher":
        lines[:0] = [b"Nats-Msg-Id: mine", b"Nats-Sequence: 99", b"Nats-Stream: RECORDS"]
    if oddity == "forged":
        lines[:0] = [*lines[:2], b"Nats-Sequence: 99", *lines[3:]]
    if oddity == "swallowed":  # the publisher's block had no end of its own
        lines[:0] = [*lines[:2], b"Nats-Sequence: 99", *lines[3:4], b"X: " + lines.pop(0)]
    headers = b"NATS/1.0\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"
    return b"live." + name, b"_INBOX.x" if oddity == "reply" else b"", headers, BODIES[body]


def send(topic: Topic, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
    """Let a message arrive as NATS sends it."""
    connection = topic._context.log.connection
    tap = Tap(cast("Any", None), connection._handlers, connection.shortcuts, lambda: None)
    which = [subject, topic.follower.subscription_of(subject[5:]) or topic.follower._subscriptions[0]]
    which += [reply] if reply else []
    sizes = b"%d %d" % (len(headers), len(headers) + len(body))
    tap.data_received(b"HMSG %b %b\r\n%b%b\r\n" % (b" ".join(which), sizes, headers, body))


def pending(topic: Topic) -> list[bytes]:
    """The frames that are written at the end of the turn."""
    return [topic._first, *(topic._more or ())] if topic._first else []


def state(topic: Topic) -> dict[str, Any]:
    """What decides over the messages to come."""
    return {
        stream: (chain.seen, chain.position, chain.reach, chain.by_subject)
        for stream, chain in topic.follower.chains.items()
    }


@settings(deadline=None)
@given(st.lists(lives, max_size=12), st.booleans())
@example([PLAIN] * 4, False)
@example([PLAIN] * 4, True)
@example([PLAIN, (0, 2, 0, 0, 0, "")], True)
@example([PLAIN, (0, 0, 0, 0, 0, ""), (0, 0, 0, 0, 0, "")], False)
@example([PLAIN, (0, 1, 0, 0, 0, "reply"), PLAIN], False)
@example([PLAIN, (0, 1, 0, 0, 0, "subject"), PLAIN], False)
@example([PLAIN, (0, 1, 0, 0, 0, "order"), PLAIN], False)
@example([PLAIN, (0, 1, 0, 0, 0, "short"), PLAIN], False)
@example([PLAIN, (0, 1, 0, 0, 0, "publisher"), PLAIN], False)
@example([PLAIN, PLAIN, (0, 1, 0, 0, 0, "forged"), PLAIN], False)
@example([PLAIN, (0, 1, 0, 0, 0, "swallowed"), PLAIN], False)
@example([PLAIN, (0, 1, 0, 0, 1, ""), PLAIN], False)
@example([PLAIN, PLAIN, (0, 1, 0, 15, 0, ""), (0, 1, 0, 8, 0, ""), PLAIN, (0, 1, 1, 0, 0, "")], False)
async def test_the_short_way_shows_what_the_follower_would(script: list[Live], whole: bool) -> None:
    edge = Edge(EdgeSettings(nats_url="nats://127.0.0.1:1"))
    edge.mesh.log.epochs = {"RECORDS": Epoch("abc", 1), "SIGNALS": Epoch("def", 1)}
    name = events() if whole else agent("a")
    short, full = topic_of(edge, name), topic_of(edge, name)
    last: dict[bytes, int] = {}
    seq = 0
    for live in script:
        seq += live[1]
        message = on_the_wire(live, last, seq)
        if live[5] in {"", "publisher", "forged"}:
            last[SUBJECTS[live[0]]] = seq
        send(short, *message)
        full.follower.receive(*message)
        assert pending(short) == pending(full)
        assert state(short) == state(full)
        assert (short.follower.hold is None) == (full.follower.hold is None)
    for topic in (short, full):
        topic.stop()
    await edge.close()


async def test_the_usual_message_takes_the_short_way() -> None:
    """Otherwise the test above would compare the follower with itself."""
    edge = Edge(EdgeSettings(nats_url="nats://127.0.0.1:1"))
    edge.mesh.log.epochs = {"RECORDS": Epoch("abc", 1), "SIGNALS": Epoch("def", 1)}
    topic = topic_of(edge, agent("a"))
    send(topic, *on_the_wire(PLAIN, {}, 1))
    with_follower = 0

    def receive(*message: bytes) -> None:
        nonlocal with_follower
        with_follower += 1

    connection = edge.mesh.connection
    connection._handlers.update(dict.fromkeys(topic.follower._subscriptions, receive))
    for seq in range(2, 6):
        send(topic, *on_the_wire(PLAIN, {SUBJECTS[0]: seq - 1}, seq))
    assert (with_follower, len(pending(topic))) == (0, 5)
    send(topic, *on_the_wire((0, 1, 0, 13, 0, ""), {SUBJECTS[0]: 5}, 6))
    assert (with_follower, len(pending(topic))) == (1, 5)
    topic.unlearn()
    send(topic, *on_the_wire(PLAIN, {SUBJECTS[0]: 5}, 6))
    assert (with_follower, len(pending(topic))) == (2, 5)
    assert connection.shortcuts == {}
    await edge.close()


async def test_what_travels_otherwise_than_in_frames_never_takes_the_short_way() -> None:
    edge = Edge(EdgeSettings(nats_url="nats://127.0.0.1:1"))
    edge.mesh.log.epochs = {"RECORDS": Epoch("abc", 1), "SIGNALS": Epoch("def", 1)}
    topic = topic_of(edge, agent("a")._replace(wire=EVENT_STREAM))
    for seq in (1, 2, 3):
        send(topic, *on_the_wire(PLAIN, {SUBJECTS[0]: seq - 1}, seq))
    assert [frame[:4] for frame in pending(topic)] == [b"id: "] * 3
    await edge.close()


async def test_a_topic_that_is_followed_no_longer_leaves_no_shortcut() -> None:
    edge = Edge(EdgeSettings(nats_url="nats://127.0.0.1:1"))
    edge.mesh.log.epochs = {"RECORDS": Epoch("abc", 1), "SIGNALS": Epoch("def", 1)}
    topic = topic_of(edge, agent("a"))
    send(topic, *on_the_wire(PLAIN, {}, 1))
    assert len(edge.mesh.connection.shortcuts) == 1
    edge.mesh.log.attend(topic.follower)
    topic.stop()
    assert edge.mesh.connection.shortcuts == {}
    await edge.close()


async def test_a_turn_is_one_write_on_each_descriptor() -> None:
    edge = Edge(EdgeSettings(nats_url="nats://127.0.0.1:1"))
    edge.mesh.log.epochs = {"RECORDS": Epoch("abc", 1), "SIGNALS": Epoch("def", 1)}
    topic = topic_of(edge, agent("a"))
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)  # keeps writes apart
    with ours, theirs:
        topic.ready[ours.fileno()] = cast("Any", object())
        topic._fds = None
        for seq in (1, 2, 3):
            send(topic, *on_the_wire(PLAIN, {SUBJECTS[0]: seq - 1}, seq))
        frames = pending(topic)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert os.read(theirs.fileno(), 100_000) == b"".join(frames)
        assert topic.deliveries == 3
    topic.ready.clear()
    await edge.close()


def test_a_lone_message_is_followed_by_no_rest() -> None:
    assert rest_s(spent_s=0.000_02, frames=1, quiet_s=0.01, rested_s=0) == 0
    assert rest_s(spent_s=0.000_02, frames=1, quiet_s=0.01, rested_s=0.004) == 0


def test_a_stream_of_messages_is_taken_in_larger_and_larger_turns() -> None:
    rests, rested = [], 0.0
    for frames in (1, 8, 16, 32, 32, 2, 1, 1):
        rested = rest_s(spent_s=0.000_1, frames=frames, quiet_s=0.000_05, rested_s=rested)
        rests.append(rested)
    assert rests == [0.001, 0.002, 0.004, 0.004, 0.004, 0.002, 0.001, 0]


@given(*[st.floats(0, 1)] * 3, st.integers(0, 10_000))
def test_a_rest_is_none_or_one_to_four_milliseconds(spent_s: float, quiet_s: float, rested_s: float, n: int) -> None:
    rest = rest_s(spent_s, n, quiet_s, rested_s)
    assert rest == 0 or 0.001 <= rest <= 0.004
    if spent_s >= 0.001:
        assert rest >= min(spent_s, 0.004)
