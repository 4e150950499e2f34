"""Many topics on one WebSocket: a client names them one by one, each with a position of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

from daena_mesh.errors import MeshError
from daena_mesh.ids import now
from mesh_edge import closing
from mesh_edge.client_messages import ClientMessage
from mesh_edge.closing import Closing
from mesh_edge.control import control_frame
from mesh_edge.follow import Follow, follow_of
from mesh_edge.gate import UNSURE, Denied, Refusal
from mesh_edge.link import Host, Visitor
from mesh_edge.lobby import Go, Lobby
from mesh_edge.outgoing import error_frame
from mesh_edge.reader import Reader
from mesh_edge.sending import Refused
from mesh_edge.socket import WebSocket

_RETRY_AFTER_MS = 1_000

if TYPE_CHECKING:
    from mesh_edge.topic import Topic
    from mesh_edge.topic_name import TopicName


class ManyHost(Host, Protocol):
    """The edge, as a socket of many topics sees it."""

    edge_id: str
    most_topics: int

    def topic(self, name: TopicName) -> Topic:
        """A topic, followed from now on."""

    def check_circle(self, name: TopicName, visitor: Visitor, guest: Go) -> None:
        """Whether a session belongs to a visitor, where that counts; raises `Denied` and `Refusal`."""


class _Wish:
    """A topic that somebody asked for, until it is known whether they may have it."""

    __slots__ = ("_lobby", "_socket", "client_id", "follow")

    def __init__(self, socket: ManySocket, follow: Follow, client_id: str | None) -> None:
        """``client_id`` names the message that asked."""
        self.follow = follow
        self.client_id = client_id
        self._socket = socket
        self._lobby = socket.lobby(follow)

    def begin(self) -> None:
        """Wait."""
        if self._lobby.admit(self._go, self._socket.visitor.user):
            self._go()

    def _go(self) -> None:
        self._socket.decide(self, self._go)
        self.end()  # not before: its topic would have nobody

    def end(self) -> None:
        """Wait no longer."""
        self._lobby.leave(self._go)


class Subscribe(msgspec.Struct, frozen=True):
    """``{"type":"subscribe","topic":"chat_s1","since":"…","history":20,"types":["chat.message"]}``."""

    topic: str
    since: str = ""
    history: int = 0
    types: list[str] = msgspec.field(default_factory=list)


class Unsubscribe(msgspec.Struct, frozen=True):
    """``{"type":"unsubscribe","topic":"chat_s1"}``."""

    topic: str


_subscribe = msgspec.json.Decoder(Subscribe).decode
_unsubscribe = msgspec.json.Decoder(Unsubscribe).decode


class ManySocket(WebSocket):
    """A WebSocket that follows what its client subscribes to."""

    __slots__ = ("_asked_as", "_many_host", "_readers", "_wishes")

    def __init__(self, transport: asyncio.Transport, host: ManyHost) -> None:
        """Takes over ``transport``; `greet` comes next."""
        super().__init__(transport, host)
        self._many_host = host
        self._readers: dict[str, Reader] = {}
        self._wishes: dict[str, _Wish] = {}
        """Topics of sessions of which it is not known yet whether they belong to its user."""
        self._asked_as: dict[str, str] = {}

    @property
    def readers(self) -> Iterable[Reader]:
        """One for each topic."""
        return tuple(self._readers.values())

    def greet(self) -> None:
        """Say that it is connected, to nothing yet."""
        payload = {"status": "connected", "socket_id": self.socket_id, "edge": self._many_host.edge_id}
        self.send(control_frame("connection", payload=payload, timestamp=now()))

    def takes(self, message: ClientMessage, text: str) -> bool:
        """Whether it is for this kind of socket; raises `Refused`."""
        if message.type == "subscribe":
            self._subscribe(text, message.client_id)
        elif message.type == "unsubscribe":
            self._unsubscribe(text)
        else:
            return super().takes(message, text)
        return True

    def _subscribe(self, text: str, client_id: str | None) -> None:
        try:
            wish = _subscribe(text)
            query = {"since": wish.since, "history": str(wish.history), "types": ",".join(wish.types)}
            follow = follow_of(wish.topic, query)
        except msgspec.DecodeError as error:
            raise Refused("bad_message", f"a 'subscribe' has a topic: {error}") from None
        except MeshError as error:
            raise Refused("bad_topic", str(error)) from None
        is_new = follow.name.name not in self._readers and follow.name.name not in self._wishes
        if is_new and len(self._readers) + len(self._wishes) >= self._many_host.most_topics:
            most = self._many_host.most_topics
            raise Refused("too_many_topics", f"this socket follows {most} topics, and may follow no more")
        may_read = self.visitor.may_read
        name = follow.name if may_read is None else follow.name.granted(may_read)
        if name is None:
            raise _forbidden(follow.name.name)
        self._leave(name.name)  # one that is followed already is begun anew, from where the client says
        follow = follow._replace(name=name)
        if name.circle:
            waiting = self._wishes[name.name] = _Wish(self, follow, client_id)
            waiting.begin()
        else:
            self._follow(follow)

    def _follow(self, follow: Follow, client_id: str | None = None) -> None:
        """Follow a topic; ``client_id`` names the message that asked for it, where it may end by itself."""
        topic = self._many_host.topic(follow.name)
        reader = self._readers[topic.name] = Reader(self, topic)
        if client_id is not None:
            self._asked_as[topic.name] = client_id
        topic.join(reader, follow.since, follow.history)

    def lobby(self, follow: Follow) -> Lobby:
        """Where to wait for a topic."""
        return self._many_host.topic(follow.name).lobby

    def decide(self, wish: _Wish, guest: Go) -> None:
        """It is known now to whom a session belongs, or nobody can say, for who waited as ``guest``."""
        name = wish.follow.name
        if self._wishes.get(name.name) is not wish:
            return
        del self._wishes[name.name]
        try:
            self._many_host.check_circle(name, self.visitor, guest)
        except Denied:
            if self._conversation is not None:
                self._conversation.refuse(_forbidden(name.name), wish.client_id)
        except Refusal:
            self._turn_away(name.name, UNSURE, wish.client_id)
        else:
            self._follow(wish.follow, wish.client_id)

    def expel(self, reader: Reader, why: Closing) -> None:
        """It may not follow one of its topics any longer, and lives on."""
        name = reader.topic.name
        client_id = self._asked_as.get(name)
        if self._readers.get(name) is reader:
            self._leave(name)
        self._turn_away(name, why, client_id)

    def _turn_away(self, name: str, why: Closing, client_id: str | None) -> None:
        refused = _forbidden(name)
        if why is not closing.FORBIDDEN:
            refused = Refused("unavailable", why.reason, retry_after_ms=_RETRY_AFTER_MS)
        self.send(error_frame(refused, client_id, topic=name))

    def leave(self) -> None:
        """It follows nothing any longer, and wishes for nothing."""
        for name in tuple(self._wishes):
            self._leave(name)
        super().leave()

    def _let_go(self) -> None:
        super()._let_go()
        self._readers.clear()

    def _unsubscribe(self, text: str) -> None:
        try:
            name = _unsubscribe(text).topic
        except msgspec.DecodeError as error:
            raise Refused("bad_message", f"an 'unsubscribe' has a topic: {error}") from None
        if not self._leave(name):
            raise Refused("bad_topic", f"this socket does not follow {name[:80]!a}")
        payload = {"status": "disconnected", "connection_id": name, "socket_id": self.socket_id}
        self.send(control_frame("connection", payload=payload, timestamp=now()))

    def _leave(self, name: str) -> bool:
        self._asked_as.pop(name, None)
        if (wish := self._wishes.pop(name, None)) is not None:
            wish.end()
            return True
        if (reader := self._readers.pop(name, None)) is None:
            return False
        reader.topic.leave(reader)
        return True


def _forbidden(name: str) -> Refused:
    return Refused("forbidden", f"the token does not allow the topic {name!r}")
