"""An edge in a world of its own: a virtual clock, a server that does what the test says, and clients that watch.

The edge, its topics, followers, replays and sockets, the connection to NATS and nats-py run as they are. What happens
is a script: a list of steps, each a tuple of what is done and with what. A step that makes no sense at its moment does
nothing, so every list is a script.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

from daena_mesh.cursors import Cursor, Positions
from daena_mesh.layout import LETTERS, RECORDS, SIGNALS, Layout
from daena_mesh.replays import FEWEST
from mesh_edge.edge import Edge
from mesh_edge.follow import Follow
from mesh_edge.settings import EdgeSettings
from mesh_edge.topic_name import topic_of
from mesh_edge.wire import EVENT_STREAM
from tests.model.clients import Client, StreamClient
from tests.model.clock import VirtualLoop, finish
from tests.model.server import Server
from tests.model.streams import Kind, Stream
from tests.model.surroundings import Surroundings
from tests.model.wires import EncryptedWire, PlainWire, ResponseWire, Wire
from tests.model.witness import Broken, Witness

Step = tuple[Any, ...]

AUDIT_S = 3.0
CALM_S = 12.0
"""After this long without faults everything must be well: lost connections, silent leaders, audits."""
_BEHIND_BYTES = 1_024
_ROOM = 2_048
_MOST_ROUNDS = 1_000
_LAYOUT = Layout()


class What(NamedTuple):
    """Something to publish."""

    subject: str
    kind: Kind
    ttl_s: float | None = None


SOME = {
    "message": What("chat.s1.message", "event"),
    "reply": What("chat.s1.message.ada", "event"),
    "update": What("session.s1.updated", "event"),
    "elsewhere": What("chat.s2.message", "event"),
    "poison": What("chat.s1.message", "poison"),
    "delta": What("chat.s1.delta", "event"),
    "typing": What("chat.s1.typing", "event", 5.0),
    "activity": What("agent.a1.activity", "event"),
    "poisoned delta": What("chat.s1.delta", "poison"),
    "notice": What("system.chat_s1.notice", "notice"),
}


class Setup(NamedTuple):
    """What a world is like."""

    topics: tuple[str, ...] = ("chat_s1",)
    wires: str = "plain"
    """``plain``, ``encrypted`` or ``both``, in turn."""
    signals_max_age_s: float = 0.0
    records_max_bytes: int = -1
    most_in_batch: int = 1_000
    in_cluster: bool = False
    fewest: int = FEWEST
    """From how many on those who want to read the log share a pass over it."""


class World:
    """For ``with``: one run."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.loop = VirtualLoop()
        self.streams = {
            RECORDS: Stream(RECORDS, max_bytes=setup.records_max_bytes),
            SIGNALS: Stream(SIGNALS, max_age_s=setup.signals_max_age_s),
        }
        for stream in self.streams.values():
            stream.begin(self.loop.now, anew=True)
        buckets = {"KV_PRESENCE": Stream("KV_PRESENCE")}
        self.server = Server(self.loop, {**self.streams, **buckets}, most_in_batch=setup.most_in_batch)
        self.server.in_cluster = setup.in_cluster
        self.clients: list[Client] = []
        self._number = 0
        self._surroundings = Surroundings(self.loop)
        settings = EdgeSettings(
            nats_url="nats://model:4222",
            edge_id="model",
            behind_bytes=_BEHIND_BYTES,
            audit_s=AUDIT_S,
            keepalive_s=1e9,
            stuck_s=1e9,
        )
        with self.loop.running():
            self.edge = Edge(settings)

    def __enter__(self) -> Self:
        self._surroundings.settle(fewest=self.setup.fewest)
        with self.loop.running():
            self.edge.start()
            self.rest()
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            with self.loop.running():
                self.server.cut()
                finish(self.loop, self.edge.close())
                for client in self.clients:
                    client.wire.vanish()
                left = asyncio.all_tasks(self.loop)
                for task in left:
                    task.cancel()
                self.loop.settle()
        finally:
            for client in self.clients:
                if isinstance(client.wire, PlainWire):
                    client.wire.discard()
            self._surroundings.undo()

    # -- a run --------------------------------------------------------------------------------------------------

    def play(self, script: Sequence[Step]) -> None:
        """Do all steps, then let calm return and look whether everybody has got everything; raises `Broken`."""
        with self.loop.running():
            for step in script:
                self.do(*step)
                self.loop.turn()
                self._read()
                self._check()
            self._calm()

    def do(self, what: str, *how: Any) -> None:
        """One step."""
        getattr(self, what)(*how)

    def _check(self) -> None:
        if errors := [*self.loop.errors, *self._surroundings.logged.errors]:
            raise Broken(" / ".join(errors))

    def _calm(self) -> None:
        server = self.server
        server.is_up, server.is_deaf = True, False
        server.unled.clear()
        for client in self.clients:
            client.is_stalled = False
        for stream in self.streams:
            server.send(stream, 1_000)
        self.rest()
        self.advance(CALM_S, answering=True)
        while server.delayed:
            server.send_delayed()
        for back in range(min(8, len(server.sent))):
            server.repeat(back)
        self.rest()
        self._check()
        for client in self.clients:
            if not client.is_gone:
                client.finish()

    def _read(self) -> bool:
        # A list, not a generator: each client reads.
        return any([not client.is_stalled and client.read() for client in self.clients if not client.is_gone])  # noqa: C419

    # -- steps: time --------------------------------------------------------------------------------------------

    def turn(self, count: int) -> None:
        """Let the edge run for some turns of its loop."""
        for _ in range(count):
            self.loop.turn()

    def settle(self) -> None:
        """Let the edge run until it waits for somebody."""
        self.loop.settle()

    def rest(self) -> None:
        """Let whatever was asked be answered until nobody asks any more."""
        for _ in range(_MOST_ROUNDS):
            self.loop.settle()
            self.server.is_deaf = False
            self.server.hear()
            is_busy = bool(self.server.asked or self.server.answers)
            self.server.answer_all()
            self.loop.settle()
            if self._read() or is_busy:
                continue
            if not self.server.is_unread:
                return
            self.loop.now += 0.001  # the edge leaves NATS unread for a moment
        raise Broken(f"the edge has asked for ever: {self.server.heard[-6:]}")

    def advance_deaf(self, seconds: float) -> None:
        """Let time pass while nobody answers."""
        self.advance(seconds, answering=False)

    def advance(self, seconds: float, *, answering: bool = True) -> None:
        """Let time pass; requests that come up meanwhile are answered at once, or not at all."""
        end = self.loop.now + seconds
        while True:
            if answering:
                self.rest()
            else:
                self.loop.settle()
                self._read()
            when = self.loop.next_timer()
            if when is None or when > end:
                break
            self.loop.now = max(self.loop.now, when)
        self.loop.now = end
        for stream in self.streams.values():
            stream.keep_limits(end)

    # -- steps: the log -----------------------------------------------------------------------------------------

    def publish(self, what: str, how: str = "later") -> None:
        """Store something; its live message comes ``later``, ``now`` with those before it, or is ``lost``."""
        subject, kind, ttl_s = SOME[what]
        stream = self.streams[_LAYOUT.stream_of(subject)]
        if stream.name in self.server.unled:
            return
        self._number += 1
        payload = {"n": self._number, "pad": "x" * (self._number * 37 % 300)}
        body: Any = payload
        if self._number % 2:
            body = {"event_type": ".".join(subject.split(".")[::2][:2]), "payload": payload, "id": f"i{self._number}"}
        data = b"no event" if kind == "poison" else json.dumps(body).encode()
        if stream.max_bytes > 0 and 2 * stream.size > stream.max_bytes:
            # No stream that is used grows by a fifth within a second: what an edge knows of limits may be as old.
            self.advance(0.3, answering=False)
        stream.keep_limits(self.loop.now)
        entry = stream.append(subject, data, self.loop.now, kind=kind, ttl_s=ttl_s)
        self.server.stored(entry)
        if how in {"now", "history"}:
            self.send(stream.name, 1_000)
        elif how == "lost":
            self.server.unsent[stream.name].pop().disturbed = True

    def flood(self, count: int) -> None:
        """Publish more than a client that stalls has room for."""
        for number in range(count):
            self.publish("message" if number % 3 else "delta", "later")
        for stream in self.streams:
            self.send(stream, count)

    def send(self, stream: str, count: int) -> None:
        """Republish the next few of a stream, in one piece."""
        self.server.send(stream, count)

    def lose(self, stream: str) -> None:
        """Lose the next live message of a stream."""
        self.server.lose(stream)

    def delay(self, stream: str) -> None:
        """Let the next live message of a stream come after those behind it."""
        self.server.delay(stream)

    def delayed(self) -> None:
        """Let one that was delayed come."""
        self.server.send_delayed()

    def repeat(self, back: int) -> None:
        """Let a live message come once more."""
        self.server.repeat(back)

    def purge(self) -> None:
        """Remove the messages of the session."""
        self.streams[RECORDS].purge("chat.s1.>")

    def anew(self, stream: str) -> None:
        """Lose a stream with the server's connections: it is made anew, and begins at 1."""
        self.server.cut()
        for entry in self.server.unsent[stream]:
            entry.disturbed = True
        self.server.unsent[stream].clear()
        self.server.delayed.clear()
        self.server.sent.clear()
        self.server.stored(self.streams[stream].begin(self.loop.now, anew=True))

    # -- steps: the server --------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Break the connection to NATS off."""
        self.server.cut()

    def down(self) -> None:
        """Stop the server."""
        self.server.is_up = False
        self.server.cut()

    def up(self) -> None:
        """Start the server."""
        self.server.is_up = True

    def unled(self, stream: str) -> None:
        """Let a stream have no leader."""
        self.server.unled.add(stream)

    def led(self, stream: str) -> None:
        """Let it have one."""
        self.server.unled.discard(stream)

    def deaf(self) -> None:
        """Let the server not hear what the edge sends, until it rests."""
        self.server.is_deaf = True

    def hear(self) -> None:
        """Let the server hear."""
        self.server.is_deaf = False
        self.server.hear()

    def answer(self, at: int, behind: int = 0) -> None:
        """Answer a question, where any replica may from one that lacks some; it is still on its way."""
        self.server.answer(at, behind=behind)

    def refuse(self, at: int) -> None:
        """Say that there is no leader."""
        self.server.refuse(at)

    def ignore(self, at: int) -> None:
        """Do not answer."""
        self.server.ignore(at)

    def arrive(self, at: int, parts: int | None = None) -> None:
        """Let an answer arrive, or a part of it."""
        self.server.arrive(at, parts)

    def lose_part(self, at: int) -> None:
        """Lose a message of an answer."""
        self.server.lose_part(at)

    # -- steps: clients -----------------------------------------------------------------------------------------

    def join(self, how: str = "now", topic: int = 0) -> None:
        """Connect a client that wants what comes from now on, or resumes."""
        follow = self._follow(how, topic)
        client = Client(self._wire(), {follow.name.name: self._witness(follow)})
        self.clients.append(client)
        self.loop.run(self._enter(client, follow, lambda: self.edge.enter(client.wire, follow)))

    def stream(self, how: str = "now", topic: int = 0) -> None:
        """Connect a client of server-sent events."""
        follow = self._follow(how, topic)
        follow = follow._replace(name=follow.name._replace(wire=EVENT_STREAM))
        wire = ResponseWire(self.loop, _ROOM)
        client = StreamClient(wire, {follow.name.name: self._witness(follow)})
        self.clients.append(client)

        def enter() -> None:
            wire.begin(self.edge.enter_stream(wire.response, follow))

        self.loop.run(self._enter(client, follow, enter))

    def join_all(self, how: str = "now") -> None:
        """Connect a client that follows all topics on one socket."""
        follows = [self._follow(how, topic) for topic in range(len(self.setup.topics))]
        client = Client(self._wire(), {follow.name.name: self._witness(follow) for follow in follows})
        self.clients.append(client)
        self.loop.call_soon(self.edge.enter_many, client.wire)
        for follow in follows:
            self._say(client, type="subscribe", topic=follow.name.name, since=str(follow.since), history=follow.history)

    def unsubscribe(self, which: int) -> None:
        """Let a client of all topics leave the first one."""
        if which < len(self.clients) and len(self.clients[which].witnesses) > 1 and not self.clients[which].has_left:
            self.clients[which].has_left = True
            self._say(self.clients[which], type="unsubscribe", topic=self.setup.topics[0])

    @staticmethod
    def _say(client: Client, **message: Any) -> None:
        text = json.dumps(message, separators=(",", ":")).encode()
        size = bytes((0x80 | len(text),)) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
        client.wire.say(b"\x81" + size + bytes(4) + text)

    async def _enter(self, client: Client, follow: Follow, enter: Callable[[], object]) -> None:
        async with self.edge.lobby(follow.name).wait():
            if client.wire.is_open:
                client.witness.opened()
                enter()

    def _follow(self, how: str, topic: int) -> Follow:
        name = topic_of(self.setup.topics[topic % len(self.setup.topics)])
        return Follow(name, self._since(how), 3 if how == "history" else 0)

    def _wire(self) -> Wire:
        is_plain = {"plain": True, "encrypted": False}.get(self.setup.wires, len(self.clients) % 2 == 0)
        return PlainWire(self.loop, _ROOM) if is_plain else EncryptedWire(self.loop, _ROOM)

    def _witness(self, follow: Follow) -> Witness:
        streams = {stream: self.streams[stream] for stream in _LAYOUT.split(follow.name.patterns)}
        return Witness(f"client {len(self.clients)} on {follow.name.name}", follow.name, streams, follow.since)

    def _since(self, how: str) -> Positions:
        """Positions as clients have them: of before, of now, of nowhere."""
        if how in {"now", "history"}:
            return Positions()
        if how == "resume":
            return self.clients[-1].witness.positions if self.clients else Positions()
        if how == "records only":
            return Positions([self._cursor(self.streams[RECORDS], 0.5)])
        if how == "foreign":
            return Positions([Cursor("R", "zzz", 2), self._cursor(self.streams[SIGNALS], 1.0)])
        if how == "ahead":
            return Positions([self._cursor(self.streams[RECORDS], 1.0, beyond=3)])
        share = {"beginning": 0.0, "middle": 0.5, "end": 1.0}[how]
        return Positions([self._cursor(stream, share) for stream in self.streams.values()])

    @staticmethod
    def _cursor(stream: Stream, share: float, beyond: int = 0) -> Cursor:
        return Cursor(LETTERS[stream.name], stream.epoch, int(share * stream.last_seq) + beyond)

    def leave(self, which: int) -> None:
        """Let a client go, without a word."""
        if which < len(self.clients) and not self.clients[which].is_gone:
            self.clients[which].is_gone = True
            self.clients[which].wire.vanish()

    def stall(self, which: int) -> None:
        """Let a client read no more."""
        if which < len(self.clients):
            self.clients[which].is_stalled = True

    def read(self, which: int, most: int | None = None) -> None:
        """Let a client that stalls read some bytes."""
        if which < len(self.clients) and not self.clients[which].is_gone:
            self.clients[which].read(most)

    def flow(self, which: int) -> None:
        """Let a client read all again."""
        if which < len(self.clients):
            self.clients[which].is_stalled = False


def run(setup: Setup, script: Sequence[Step]) -> None:
    """Play a script in a world of its own; raises `Broken`, which tells the script."""
    try:
        with World(setup) as world:
            world.play(script)
    except AssertionError as error:
        error.add_note(f"run({setup!r}, {[step for step in script if step != ('turn', 0)]!r})")
        raise
