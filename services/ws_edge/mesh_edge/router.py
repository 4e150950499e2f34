"""The WebSocket routes, as a router that any FastAPI application includes.

>>> from mesh_edge import websocket_router
>>> app.include_router(websocket_router)

Run uvicorn with ``--ws mesh_edge.protocol:HandoverProtocol``. The router brings its edge along: it starts and ends with
the application.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response, WebSocket
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import HTTPConnection

from daena_mesh.errors import ConfigurationError, InvalidCursor, InvalidId, InvalidQuery, InvalidSubject
from daena_mesh.settings import load
from mesh_edge.credentials import Knock, offers
from mesh_edge.edge import Edge
from mesh_edge.event_stream import EventStream, EventStreamResponse, ResponseTransport
from mesh_edge.follow import Follow, follow_of
from mesh_edge.gate import Denied, Refusal, Silent
from mesh_edge.link import NOBODY, Visitor
from mesh_edge.lobby import Go
from mesh_edge.protocol import HAND_OVER
from mesh_edge.settings import EdgeSettings
from mesh_edge.topic_name import COUNCIL, EVENTS
from mesh_edge.wire import EVENT_STREAM


class _Rest(Convertor[str]):
    """All that is left of a path. Starlette's own ``path`` stops at a line feed: what ends in one would lose it."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor("mesh_rest", _Rest())


def edge_of(connection: Any) -> Edge:
    """The edge of the application that a request, a WebSocket or an ``app`` belongs to."""
    app = getattr(connection, "app", connection)
    edge: Edge = app.state.mesh_edge
    return edge


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    edge = Edge(load(EdgeSettings))
    app.state.mesh_edge = edge
    edge.start()
    try:
        yield
    finally:
        await edge.close()


def _read(connection_id: str, query: Mapping[str, str]) -> Follow:
    try:
        return follow_of(connection_id, query)
    except (InvalidId, InvalidCursor, InvalidSubject, InvalidQuery) as error:
        raise Refusal(400, str(error)) from None


@asynccontextmanager
async def _waiting(edge: Edge, follow: Follow, visitor: Visitor) -> AsyncIterator[Go]:
    """Wait until the topic is ready, and where others did too, until it is one's turn; a guest until the block ends."""
    lobby = edge.lobby(follow.name)
    is_one_of_many = not lobby.is_open
    async with lobby.wait(visitor.user) as guest:
        if is_one_of_many:
            await edge.turnstile.turn()
        yield guest


async def _enter(websocket: WebSocket, connection_id: str | None) -> None:
    """Refuse before the upgrade, turn away after it, or let in: to a topic, or to what the client will name."""
    edge, knock = edge_of(websocket), knock_of(websocket)
    try:
        edge.gate.knock(knock, asyncio.get_running_loop().time())
        follow = _read(connection_id, websocket.query_params) if connection_id is not None else None
        if HAND_OVER not in websocket.scope.get("extensions", {}):
            raise Refusal(500, "run uvicorn with --ws mesh_edge.protocol:HandoverProtocol: the edge keeps its sockets")
        await edge.gate.settled(knock)
        try:
            visitor = edge.gate.authorize(knock, follow and follow.name, time.time())
        except Silent:
            edge.gate.last_look(knock, NOBODY)
            await edge.manager.expect_token(websocket, knock, follow)
            return
        if follow is None or connection_id is None:
            edge.gate.last_look(knock, visitor)
            edge.gate.entered(await edge.manager.connect_many(websocket, visitor=visitor), knock)
            return
        follow = edge.gate.shown(visitor, follow)
        async with _waiting(edge, follow, visitor) as guest:
            edge.gate.last_look(knock, visitor)
            edge.check_circle(follow.name, visitor, guest)
            socket = await edge.manager.connect(websocket, connection_id, follow=follow, visitor=visitor)
            edge.gate.entered(socket, knock)
    except Refusal as refusal:
        edge.counts.refused[str(refusal.status), refusal.reason] += 1
        if "websocket.http.response" in websocket.scope.get("extensions", {}):
            await websocket.send_denial_response(refusal.response("The WebSocket was refused"))
        else:
            await websocket.close()
        if refusal.status == 500:
            raise ConfigurationError(str(refusal)) from None
    except Denied as denied:
        edge.counts.refused[str(denied.status), denied.reason] += 1
        edge.counts.closed[str(denied.status)] += 1
        await websocket.accept(subprotocol=offers(knock.protocols))
        await websocket.close(denied.why.code, denied.why.reason)


async def _stream(request: Request, connection_id: str) -> Response:
    """Refuse, or answer with events that do not end; ``Last-Event-ID`` is where a browser stands that comes back."""
    edge, knock = edge_of(request), knock_of(request)
    # An `EventSource` of another origin says so always. What loads without CORS, such as an image, cannot read it.
    is_silent = request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
    try:
        edge.gate.knock(knock, asyncio.get_running_loop().time(), own_pages_are_silent=is_silent)
        query = dict(request.query_params)
        if last := request.headers.get("last-event-id"):
            query["since"] = last
        follow = _read(connection_id, query)
        await edge.gate.settled(knock)
        visitor = edge.gate.authorize(knock, follow.name, time.time())
        follow = edge.gate.shown(visitor, follow)
        follow = follow._replace(name=follow.name._replace(wire=EVENT_STREAM))

        def enter(transport: ResponseTransport) -> EventStream:
            stream = edge.enter_stream(transport, follow, visitor=visitor)
            edge.gate.entered(stream, knock)
            return stream

        async with _waiting(edge, follow, visitor) as guest:
            edge.gate.last_look(knock, visitor)
            edge.check_circle(follow.name, visitor, guest)
            origin = request.headers.get("origin")
            return EventStreamResponse(
                enter, {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}
            )
    except (Refusal, Denied) as refused:
        refusal = refused.refusal if isinstance(refused, Denied) else refused
        edge.counts.refused[str(refusal.status), refusal.reason] += 1
        return refusal.response("The event stream was refused")


def knock_of(connection: HTTPConnection) -> Knock:
    """What a client says of itself, by what FastAPI has read."""
    headers, query, client = connection.headers, connection.query_params, connection.client
    origins = headers.getlist("origin")
    return Knock(
        origin=",".join(origins) if origins else None,
        host=",".join(headers.getlist("host")) or None,
        protocols=",".join(headers.getlist("sec-websocket-protocol")),
        authorization=headers.get("authorization", ""),
        cookie=headers.get("cookie", ""),
        query_token=query.get("token", ""),
        who=query.get("who"),
        user_agent=headers.get("user-agent", ""),
        address=client.host if client else "",
        forwarded=client.host if client and client.port == 0 else "",  # what uvicorn makes of `X-Forwarded-For`
    )


websocket_router = APIRouter(lifespan=_lifespan)


@websocket_router.websocket("/ws")
async def many(websocket: WebSocket) -> None:
    """What the client subscribes to."""
    await _enter(websocket, None)


@websocket_router.websocket("/ws/events")
async def events(websocket: WebSocket) -> None:
    """Everything."""
    await _enter(websocket, EVENTS)


@websocket_router.websocket("/ws/council")
async def council(websocket: WebSocket) -> None:
    """All councils."""
    await _enter(websocket, COUNCIL)


@websocket_router.websocket("/ws/chat/{session_id:mesh_rest}", name="mesh_ws_chat")
async def chat(websocket: WebSocket, session_id: str) -> None:
    """One session."""
    await _enter(websocket, f"chat_{session_id}")


@websocket_router.websocket("/ws/agent/{agent_id:mesh_rest}")
async def agent(websocket: WebSocket, agent_id: str) -> None:
    """One agent."""
    await _enter(websocket, f"agent_{agent_id}")


@websocket_router.get("/sse/events", include_in_schema=False)
async def events_stream(request: Request) -> Response:
    """Everything, as server-sent events."""
    return await _stream(request, EVENTS)


@websocket_router.get("/sse/council", include_in_schema=False)
async def council_stream(request: Request) -> Response:
    """All councils, as server-sent events."""
    return await _stream(request, COUNCIL)


@websocket_router.get("/sse/chat/{session_id:mesh_rest}", include_in_schema=False)
async def chat_stream(request: Request, session_id: str) -> Response:
    """One session, as server-sent events."""
    return await _stream(request, f"chat_{session_id}")


@websocket_router.get("/sse/agent/{agent_id:mesh_rest}", include_in_schema=False)
async def agent_stream(request: Request, agent_id: str) -> Response:
    """One agent, as server-sent events."""
    return await _stream(request, f"agent_{agent_id}")
