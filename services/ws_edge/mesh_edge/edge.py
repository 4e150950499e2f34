"""An edge: the topics that have sockets here, and what keeps them well."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from daena_mesh.connection import Subscription
from daena_mesh.errors import MeshUnavailable
from daena_mesh.histogram import Histogram
from daena_mesh.loop_lag import watch_loop
from daena_mesh.mesh import Mesh
from daena_mesh.revocations import Revocations
from daena_mesh.sessions import SessionStore
from mesh_edge import closing
from mesh_edge.closing import Closing
from mesh_edge.conversation import Rules
from mesh_edge.cork import greeted
from mesh_edge.counts import Counts
from mesh_edge.credentials import Knock
from mesh_edge.draining import send_away, tell
from mesh_edge.event_stream import EventStream, ResponseTransport
from mesh_edge.expiry import Expiry
from mesh_edge.fanout import Turn
from mesh_edge.follow import Follow
from mesh_edge.gate import UNSURE, Denied, Gate, Refusal
from mesh_edge.guarded import GuardedTopic
from mesh_edge.link import NOBODY, Link, Visitor
from mesh_edge.lobby import Go, Lobby
from mesh_edge.manager import ConnectionManager
from mesh_edge.many import ManySocket
from mesh_edge.poison import PoisonCabinet
from mesh_edge.presence import Presence
from mesh_edge.sending import Desk, patterns
from mesh_edge.service import edge_service
from mesh_edge.settings import EdgeSettings
from mesh_edge.socket import Socket
from mesh_edge.stranger import Stranger
from mesh_edge.topic import Topic, TopicContext
from mesh_edge.turnstile import Turnstile, turnstile_of

if TYPE_CHECKING:
    from mesh_edge.topic_name import TopicName

_SLOTS = 15
_DEAD_AFTER = 2.5
"""Pauses between pings: two that were not answered, and half of one for the answer to travel."""
_LEFT_WITHIN_S = 3.0
"""A client has two seconds to answer the close of its WebSocket."""


class Edge:
    """Fans events out to the sockets of this process."""

    def __init__(self, settings: EdgeSettings) -> None:
        """Nothing happens before `start`. Raises `ConfigurationError`."""
        self.settings = settings
        self.edge_id = settings.edge_id or f"edge-{secrets.token_hex(3)}"
        self.behind_bytes = settings.behind_bytes
        self.frame_bytes = settings.frame_bytes
        self.most_topics = settings.topics_per_socket
        self.mesh = Mesh(settings, name=f"mesh-edge/{self.edge_id}", wait_s=1.0, source=self.edge_id)
        self.gate = Gate(settings)
        self.turnstile = Turnstile()
        self.poison = PoisonCabinet(self.mesh, self.edge_id)
        self.manager = ConnectionManager(self)
        self.rules = Rules(Desk(self.mesh), settings.messages_per_s, patterns(settings.open_write))
        self.counts = Counts()
        self._left = asyncio.Event()
        self._topics: dict[TopicName, Topic] = {}
        self._notices: Subscription | None = None
        """To what all sockets are told; one for all topics, while there are any."""
        self._lingering: dict[TopicName, asyncio.TimerHandle] = {}
        self._wheel: list[dict[Link, None]] = [{} for _ in range(_SLOTS)]
        self._slots = itertools.cycle(range(_SLOTS))
        self._tasks: list[asyncio.Task[None]] = []
        self._servers: list[set[Any]] = []
        """The connections of each server through which sockets came, so that none keeps a reference of its own."""
        self._visitors: dict[Visitor, Visitor] = {}
        self._expiry = Expiry()
        self._sessions = SessionStore(self.mesh)
        self.presence = Presence(self.mesh, self.edge_id, linger_s=settings.presence_linger_s)
        self.service = edge_service(self)
        turn = Turn(self.mesh.connection)
        self.latency = turn.latency.histogram
        self.loop_lag = Histogram()
        self._context = TopicContext(
            self.edge_id, self.mesh.log, self.poison, turn, self._linger, self.presence, self.counts
        )

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect in the background, and begin to keep alive and to audit."""
        self.turnstile = turnstile_of(asyncio.get_running_loop())
        self.mesh.start()
        self.service.start()
        self.presence.start()
        self._tasks = [
            asyncio.create_task(self._keep_alive(), name="keepalive"),
            asyncio.create_task(self._audit(), name="audit"),
            asyncio.create_task(watch_loop(self.loop_lag), name="loop lag"),
        ]
        if self.gate.keyring is not None:
            revocations = Revocations(self.mesh, self.gate.revoked)
            self._tasks.append(asyncio.create_task(revocations.run(self._close_revoked), name="revocations"))
            if (source := self.gate.keyring.source) is not None:
                self._tasks.append(asyncio.create_task(source.run(self._close_revoked), name="public keys of tokens"))

    async def close(self) -> None:
        """End; sockets that are still here are closed."""
        self.gate.is_draining = True
        self.service.stop()
        for task in self._tasks:
            task.cancel()
        self._expiry.stop()
        await self.presence.close()
        for timer in self._lingering.values():
            timer.cancel()
        for socket in list(self.sockets()):
            socket.close(closing.RESTART)
        for topic in tuple(self._topics.values()):
            topic.stop()
        self._topics.clear()
        await self.mesh.close()

    async def drain(self) -> None:
        """Send every client elsewhere: tell it when to come back, close in waves, and wait for the answers."""
        if self.is_draining:
            return
        self.gate.is_draining = True
        self.presence.end()
        await send_away(list(self.sockets()), self.settings.drain_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEFT_WITHIN_S):
                while any(self._wheel):
                    self._left.clear()
                    await self._left.wait()

    @property
    def is_draining(self) -> bool:
        """Whether it is being stopped."""
        return self.gate.is_draining

    @property
    def is_ready(self) -> bool:
        """Whether new sockets are welcome: NATS answers, a token can be checked, and the edge is not being stopped."""
        has_keys = self.gate.keyring is None or not self.gate.keyring.is_empty
        return self.mesh.connection.state == "connected" and has_keys and not self.is_draining

    # -- sockets ------------------------------------------------------------------------------------------------

    def enter(
        self,
        transport: asyncio.Transport,
        follow: Follow,
        *,
        visitor: Visitor = NOBODY,
        metadata: dict[str, Any] | None = None,
        beginning: bytes = b"",
        connections: set[Any] | None = None,
    ) -> Socket:
        """A client that was let in follows a topic from here on, and its socket is the protocol of ``transport``.

        What comes first on the wire, ``beginning``, is the answer to its handshake where that was not given yet.
        ``connections`` are those of a server, which tells its members to shut down: the socket is one until it is lost.
        """
        topic = self.topic(follow.name)
        try:
            socket = Socket(transport, topic, self)
            transport.set_protocol(socket)  # before anything is written, or somebody else is told that it is held back
            if connections is not None:
                self.keep(socket, connections)
            self.welcome(socket, visitor=visitor, metadata=metadata)
            greeted(socket, beginning, partial(topic.join, socket.reader, follow.since, follow.history))
        except BaseException:
            if topic.is_unused:
                self._linger(topic)
            raise
        self.turn_away_late(socket)
        return socket

    def enter_many(
        self,
        transport: asyncio.Transport,
        *,
        visitor: Visitor = NOBODY,
        metadata: dict[str, Any] | None = None,
        beginning: bytes = b"",
        connections: set[Any] | None = None,
    ) -> ManySocket:
        """A client that was let in will say what it follows; the rest is as in `enter`."""
        socket = ManySocket(transport, self)
        transport.set_protocol(socket)
        if connections is not None:
            self.keep(socket, connections)
        self.welcome(socket, visitor=visitor, metadata=metadata)
        greeted(socket, beginning, socket.greet)
        self.turn_away_late(socket)
        return socket

    def enter_stream(self, transport: ResponseTransport, follow: Follow, *, visitor: Visitor = NOBODY) -> EventStream:
        """A client that was let in is sent a topic as server-sent events."""
        stream = EventStream(transport, self.topic(follow.name), self)
        self.welcome(stream, visitor=visitor)
        stream.reader.topic.join(stream.reader, follow.since, follow.history)
        self.turn_away_late(stream)
        return stream

    def expect_token(
        self,
        transport: asyncio.Transport,
        knock: Knock,
        follow: Follow | None,
        *,
        beginning: bytes = b"",
        connections: set[Any],
    ) -> Stranger:
        """A client that brought no token may show one now, for some seconds; then it follows as in `enter`."""
        stranger = Stranger(transport, self, knock, follow, connections)
        transport.set_protocol(stranger)
        self.keep(stranger, connections)
        self.welcome(stranger)
        self.gate.entered(stranger, knock)
        if beginning:
            transport.write(beginning)
        self.turn_away_late(stranger)
        return stranger

    def welcome(self, link: Link, *, visitor: Visitor = NOBODY, metadata: dict[str, Any] | None = None) -> None:
        """Keep a connection alive from now on, and know who it is."""
        link.metadata = metadata
        if visitor.user is None:  # a few serve thousands; no two tokens make the same one
            visitor = self._visitors.setdefault(visitor, visitor)
            if len(self._visitors) > 1_000:
                self._visitors.clear()
        link.visitor = visitor
        self._wheel[hash(link) // 16 % _SLOTS][link] = None
        self._expiry.add(link)

    def settle(self, token: str, go: Callable[[], object]) -> None:
        """Call ``go`` once a fresh token can be checked, mostly at once."""
        self.gate.settle(Knock(authorization=f"Bearer {token}"), go)

    def renew(self, link: Link, token: str) -> Closing | None:
        """A client shows a fresh token for what it follows; gives why to close it, if that does not do."""
        names = [reader.topic.key for reader in link.readers]
        patterns = [pattern for name in names if not name.circle for pattern in name.patterns]
        try:
            visitor = self.gate.renew(link.visitor, token, patterns, time.time())
        except Denied as denied:
            return denied.why
        except Refusal:
            return closing.INTERNAL_ERROR
        self._expiry.discard(link)
        link.visitor = visitor
        self._expiry.add(link)
        return None

    def turn_away_late(self, link: Link) -> None:
        """Send away who was let in a moment before the edge began to drain, or their token was revoked."""
        if self.gate.is_revoked(link.visitor):
            link.close(closing.UNAUTHENTICATED)
        if self.is_draining:
            tell(link, 0)
            link.close(closing.RESTART)

    def lobby(self, name: TopicName) -> Lobby:
        """Where the clients of a topic wait that are about to `enter`; its topic is followed from now on."""
        return self.topic(name).lobby

    def check_circle(self, name: TopicName, visitor: Visitor, guest: Go) -> None:
        """Whether a session belongs to who waited for its topic, where that counts; raises `Denied` and `Refusal`.

        ``guest`` is what they waited as: they are denied only what the leader has said since they came.
        """
        if not name.circle:
            return
        topic = self._topics.get(name)
        why = UNSURE if topic is None else topic.refusal(visitor.user, guest)
        if why is closing.FORBIDDEN:
            raise Denied(why)
        if why is not None:
            raise Refusal(503, why.reason, {"Retry-After": "1"}, reason="members")

    def is_at_rest(self, name: TopicName, visitor: Visitor) -> bool:
        """Whether a topic is followed already, and need not have somebody wait."""
        topic = self._topics.get(name)
        return topic is not None and topic.is_at_rest and topic.refusal(visitor.user) is None

    @property
    def longest_token_s(self) -> float:
        """For how long the token of some socket is still good."""
        return self._expiry.longest_s

    def keep(self, link: Link, connections: set[Any]) -> None:
        """Let a link be one of the ``connections`` of a server until it is lost."""
        connections.add(link)
        for known in self._servers:
            if known is connections:
                return
        self._servers.append(connections)

    def lost(self, link: Link) -> None:
        """A connection is gone."""
        for connections in self._servers:
            connections.discard(link)
        self.gate.left(link)
        self._expiry.discard(link)
        self._wheel[hash(link) // 16 % _SLOTS].pop(link, None)
        if self.is_draining:
            self._left.set()

    def _close_revoked(self) -> None:
        """Close whose token is refused by now."""
        for link in list(self.sockets()):
            if self.gate.is_revoked(link.visitor):
                link.close(closing.UNAUTHENTICATED)

    def sockets(self) -> Iterator[Link]:
        """All sockets of this edge."""
        return itertools.chain.from_iterable(self._wheel)

    def topics(self) -> Iterator[Topic]:
        """The topics that are followed here."""
        return iter(self._topics.values())

    @property
    def deliveries(self) -> int:
        """How many live frames were given to sockets."""
        return self.counts.deliveries + sum(topic.deliveries for topic in self.topics())

    @property
    def delivered_bytes(self) -> int:
        """Their size, in the frames that were written."""
        return self.counts.delivered_bytes + sum(topic.delivered_bytes for topic in self.topics())

    def topic(self, name: TopicName) -> Topic:
        """A topic, followed from now on for as long as somebody reads it."""
        if timer := self._lingering.pop(name, None):
            timer.cancel()
        if (topic := self._topics.get(name)) is None:
            if not self._topics:
                self._notices = self.mesh.connection.subscribe("live.system.all.notice", self._notice_to_all)
            topic = self._topics[name] = self._make(name)
            topic.start()
        return topic

    def _make(self, name: TopicName) -> Topic:
        return GuardedTopic(name, self._context, self._sessions) if name.circle else Topic(name, self._context)

    def _notice_to_all(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        for topic in self.topics():
            if not topic.has_all_notices:
                topic.notice(subject, reply, headers, body)

    def _linger(self, topic: Topic) -> None:
        loop = asyncio.get_running_loop()
        linger_s = self.settings.linger_s if topic.lingers else 0
        self._lingering[topic.key] = loop.call_later(linger_s, self._forget, topic)

    def _forget(self, topic: Topic) -> None:
        self._lingering.pop(topic.key, None)
        if topic.is_unused and self._topics.get(topic.key) is topic:
            del self._topics[topic.key]
            if not self._topics and self._notices is not None:
                self.mesh.connection.unsubscribe(self._notices)
            topic.stop()
            self.counts.deliveries += topic.deliveries
            self.counts.delivered_bytes += topic.delivered_bytes

    # -- health -------------------------------------------------------------------------------------------------

    async def _keep_alive(self) -> None:
        """One timer for all: each tick looks after a fifteenth of the sockets."""
        for slot in self._slots:
            await asyncio.sleep(self.settings.keepalive_s / _SLOTS)
            self._look_after(slot)  # apart from here, where the last one would be held until there is a next one

    def _look_after(self, slot: int) -> None:
        """Ping the sockets of a slot, and end those that are dead or stuck."""
        at = time.monotonic()
        for socket in tuple(self._wheel[slot]):
            if socket.is_stuck(at, self.settings.stuck_s):
                socket.close(closing.TOO_SLOW)
            elif socket.is_drained and at - socket.heard > _DEAD_AFTER * self.settings.keepalive_s:
                socket.transport.abort()
            else:
                socket.ping()

    async def _audit(self) -> None:
        """Find losses that no later message reveals."""
        while True:
            await asyncio.sleep(self.settings.audit_s)
            with contextlib.suppress(MeshUnavailable):
                await self.mesh.log.audits.audit([topic.follower for topic in self._topics.values()])
