"""Many topics on one WebSocket: a client names them one by one, each with a position of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

from daena_mesh.errors import MeshError
from daena_mesh.ids import now
from mesh_edge.client_messages import ClientMessage
from mesh_edge.control import control_frame
from mesh_edge.follow import Follow, follow_of
from mesh_edge.link import Host
from mesh_edge.reader import Reader
from mesh_edge.sending import Refused
from mesh_edge.socket import WebSocket

if TYPE_CHECKING:
    from mesh_edge.topic import Topic
    from mesh_edge.topic_name import TopicName


class ManyHost(Host, Protocol):
    """The edge, as a socket of many topics sees it."""

    edge_id: str
    most_topics: int

    def topic(self, name: TopicName) -> Topic:
        """A topic, followed from now on."""


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

    __slots__ = ("_many_host", "_readers")

    def __init__(self, transport: asyncio.Transport, host: ManyHost) -> None:
        """Takes over ``transport``; `greet` comes next."""
        super().__init__(transport, host)
        self._many_host = host
        self._readers: dict[str, Reader] = {}

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
            self._subscribe(text)
        elif message.type == "unsubscribe":
            self._unsubscribe(text)
        else:
            return super().takes(message, text)
        return True

    def _subscribe(self, text: str) -> None:
        try:
            wish = _subscribe(text)
            query = {"since": wish.since, "history": str(wish.history), "types": ",".join(wish.types)}
            follow = follow_of(wish.topic, query)
        except msgspec.DecodeError as error:
            raise Refused("bad_message", f"a 'subscribe' has a topic: {error}") from None
        except MeshError as error:
            raise Refused("bad_topic", str(error)) from None
        if follow.name.name not in self._readers and len(self._readers) >= self._many_host.most_topics:
            most = self._many_host.most_topics
            raise Refused("too_many_topics", f"this socket follows {most} topics, and may follow no more")
        may_read = self.visitor.may_read
        name = follow.name if may_read is None else follow.name.granted(may_read)
        if name is None:
            raise Refused("forbidden", f"the token does not allow the topic {follow.name.name!r}")
        self._follow(follow._replace(name=name))

    def _follow(self, follow: Follow) -> None:
        """Follow a topic; one that is followed already is begun anew, from where the client says."""
        self._leave(follow.name.name)
        topic = self._many_host.topic(follow.name)
        reader = self._readers[topic.name] = Reader(self, topic)
        topic.join(reader, follow.since, follow.history)

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
        if (reader := self._readers.pop(name, None)) is None:
            return False
        reader.topic.leave(reader)
        return True
