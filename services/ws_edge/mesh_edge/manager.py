"""The connection manager: groups of sockets, by the names of their connections.

A ``connection_id`` names a group: ``events``, ``council``, ``chat_<session>``, ``agent_<agent>``. Broadcasts travel
through the mesh, so they reach the sockets of all edges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fastapi import WebSocket

from daena_mesh.errors import ConfigurationError, InvalidEvent
from daena_mesh.events import PAYLOADS
from daena_mesh.ids import rfc3339_of
from daena_mesh.log import Ack
from daena_mesh.mesh import Mesh
from daena_mesh.subjects import subject_for
from mesh_edge import closing
from mesh_edge.credentials import MOST_USER_AGENT, SUBPROTOCOL, Knock
from mesh_edge.follow import Follow
from mesh_edge.link import NOBODY, Visitor
from mesh_edge.lobby import Lobby
from mesh_edge.protocol import HAND_OVER
from mesh_edge.topic_name import TopicName, topic_of

if TYPE_CHECKING:
    from mesh_edge.link import Link
    from mesh_edge.many import ManySocket
    from mesh_edge.socket import Socket
    from mesh_edge.socket import WebSocket as WebSocketLink
    from mesh_edge.stranger import Stranger

Taken = TypeVar("Taken", bound="WebSocketLink")


class Host(Protocol):
    """The edge, as its manager sees it."""

    mesh: Mesh

    def enter(
        self,
        transport: asyncio.Transport,
        follow: Follow,
        *,
        visitor: Visitor = NOBODY,
        metadata: dict[str, Any] | None = None,
        connections: set[Any] | None = None,
    ) -> Socket:
        """A client that was let in follows a topic."""

    def enter_many(
        self,
        transport: asyncio.Transport,
        *,
        visitor: Visitor = NOBODY,
        metadata: dict[str, Any] | None = None,
        connections: set[Any] | None = None,
    ) -> ManySocket:
        """A client that was let in will say what it follows."""

    def expect_token(
        self, transport: asyncio.Transport, knock: Knock, follow: Follow | None, *, connections: set[Any]
    ) -> Stranger:
        """A client that brought no token may show one now."""

    def lobby(self, name: TopicName) -> Lobby:
        """Where clients wait for their topic."""

    def sockets(self) -> Iterator[Link]:
        """All sockets of the edge."""


class ConnectionManager:
    """Lets sockets in, and speaks to groups of them."""

    def __init__(self, host: Host) -> None:
        """Of the edge ``host``."""
        self._host = host

    async def connect(
        self,
        websocket: WebSocket,
        connection_id: str,
        metadata: dict[str, Any] | None = None,
        *,
        follow: Follow | None = None,
        who: str | None = None,
        visitor: Visitor | None = None,
    ) -> Socket:
        """Accept a WebSocket into a group, and take it over: the edge answers it from here on.

        ``follow`` says from where on, and which events; by default all from now on. ``who`` is the user who is present
        there for others, if anybody; ``visitor`` says more, and counts alone. Whether it may come in was for the caller
        to decide.

        It is accepted once its topic knows where it stands, so that whatever is published from then on is shown to it.

        Raises `InvalidId` for a ``connection_id`` that names no group, and `ConfigurationError` where uvicorn does not
        run with ``--ws mesh_edge.protocol:HandoverProtocol``.
        """
        wish = follow or Follow(topic_of(connection_id))
        visitor = visitor or _visitor(websocket, who)
        async with self._host.lobby(wish.name).wait(visitor.user):
            return await _take_over(
                websocket,
                lambda transport, connections: self._host.enter(
                    transport, wish, visitor=visitor, metadata=metadata, connections=connections
                ),
            )

    async def connect_many(
        self,
        websocket: WebSocket,
        metadata: dict[str, Any] | None = None,
        *,
        who: str | None = None,
        visitor: Visitor | None = None,
    ) -> ManySocket:
        """Accept a WebSocket that will say what it follows, and take it over; otherwise as `connect`."""
        visitor = visitor or _visitor(websocket, who)
        return await _take_over(
            websocket,
            lambda transport, connections: self._host.enter_many(
                transport, visitor=visitor, metadata=metadata, connections=connections
            ),
        )

    async def expect_token(self, websocket: WebSocket, knock: Knock, follow: Follow | None) -> Stranger:
        """Accept a WebSocket that brought no token, and take it over: it may show one now."""
        return await _take_over(
            websocket,
            lambda transport, connections: self._host.expect_token(transport, knock, follow, connections=connections),
        )

    async def disconnect(self, websocket: WebSocket, connection_id: str) -> None:  # noqa: ARG002 - as the group names it
        """Close a WebSocket that `connect` took over; one that is gone already is no error."""
        socket: WebSocketLink | None = websocket.scope.get("extensions", {}).get("mesh.socket")
        if socket is not None:
            socket.close(closing.NORMAL)

    async def broadcast_to_group(self, connection_id: str, message: Mapping[str, Any]) -> Ack:
        """Send ``message``, a JSON object, to each socket of a group, on all edges, as a ``system.notice``.

        Raises `InvalidId`, `InvalidEvent` and `MeshUnavailable`.
        """
        topic_of(connection_id)
        return await self._host.mesh.publish(subject_for("system.notice", connection_id), _object(message))

    async def broadcast_to_all(self, message: Mapping[str, Any]) -> Ack:
        """Send ``message``, a JSON object, to every socket of all edges, as a ``system.notice``.

        Raises `InvalidEvent` and `MeshUnavailable`.
        """
        return await self._host.mesh.publish("system.all.notice", _object(message))

    async def emit_event(self, event_type: str, payload: Mapping[str, Any], connection_id: str | None = None) -> Ack:
        """Store an event; whoever follows its subject is shown it.

        What it is about is what the payload says (``session_id`` for ``chat.message``), else the id in
        ``connection_id``. Raises `InvalidEvent` where neither tells, `InvalidId`, `NotCovered`, `MeshUnavailable`.
        """
        payload = _object(payload)
        known = PAYLOADS.get(event_type)
        ident = payload.get(known.id_field) if known else None
        if ident is None and connection_id is not None:
            ident = connection_id if event_type == "system.notice" else connection_id.partition("_")[2]
        if not ident:
            field = known.id_field if known else "connection_id"
            raise InvalidEvent(
                f"{event_type}: the payload has no {field!r}, and no connection_id tells what it is about"
            )
        subject = subject_for(event_type, str(ident))
        return await self._host.mesh.publish(subject, payload)

    def connections(self) -> list[dict[str, Any]]:
        """What is known of each socket of this edge."""
        return [
            {
                "socket_id": socket.socket_id,
                "connection_id": next((reader.topic.name for reader in socket.readers), ""),
                "user_agent": socket.visitor.user_agent,
                "address": socket.address,
                "connected_since": rfc3339_of(socket.connected_at),
                "last_seen": rfc3339_of(socket.heard),
                "is_behind": any(reader.positions is not None for reader in socket.readers),
                "metadata": socket.metadata or {},
            }
            for socket in self._host.sockets()
        ]

    def count(self, connection_id: str | None = None) -> int:
        """How many sockets of this edge are in a group, or in all."""
        if connection_id is None:
            return sum(1 for _ in self._host.sockets())
        return sum(
            1 for socket in self._host.sockets() if any(reader.topic.name == connection_id for reader in socket.readers)
        )


async def _take_over(websocket: WebSocket, enter: Callable[[asyncio.Transport, set[Any]], Taken]) -> Taken:
    """Accept, and hand over to the socket that ``enter`` makes; raises `ConfigurationError`."""
    hand_over = websocket.scope.get("extensions", {}).get(HAND_OVER)
    if hand_over is None:
        raise ConfigurationError(
            "the edge needs uvicorn's sockets: run it with --ws mesh_edge.protocol:HandoverProtocol"
        )
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
    socket: Taken = hand_over(enter)
    # Not in a reference cycle with the handshake, which ends with this endpoint.
    websocket.scope["extensions"]["mesh.socket"] = socket
    return socket


def _visitor(websocket: WebSocket, who: str | None) -> Visitor:
    return Visitor(websocket.headers.get("user-agent", "")[:MOST_USER_AGENT], who=who)


def _object(value: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidEvent(f"what is sent must be a JSON object, not {type(value).__name__}")
    return dict(value)
