"""The WebSocket routes, as a router that any FastAPI application includes.

>>> from mesh_edge import websocket_router
>>> app.include_router(websocket_router)

Run uvicorn with ``--ws mesh_edge.protocol:HandoverProtocol``. The router brings its edge along: it starts and ends with
the application.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import HTTPConnection

from daena_mesh.errors import ConfigurationError, InvalidCursor, InvalidId, InvalidQuery, InvalidSubject
from daena_mesh.settings import load
from mesh_edge.edge import Edge
from mesh_edge.event_stream import EventStreamResponse
from mesh_edge.follow import Follow, follow_of
from mesh_edge.manager import MOST_USER_AGENT
from mesh_edge.presence import check_who
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


class Refusal(Exception):
    """A client is not let in: the status of the answer, and one sentence."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}

    def response(self, title: str) -> JSONResponse:
        """The answer as a problem (RFC 9457)."""
        body = {"type": "about:blank", "title": title, "status": self.status, "detail": str(self)}
        return JSONResponse(body, self.status, self.headers, media_type="application/problem+json")


def _admit(edge: Edge, connection: HTTPConnection) -> str | None:
    """Check where a client comes from; gives the user it is present as, and raises `Refusal`."""
    headers = connection.headers
    origins, hosts = headers.getlist("origin"), headers.getlist("host")
    if len(origins) > 1 or not edge.origins.allows(origins[0] if origins else None, ",".join(hosts) or None):
        shown = ascii((origins or ["none"])[0][:100])
        raise Refusal(403, f"pages of origin {shown} may not connect here; MESH_ORIGINS allows more")
    _check_draining(edge)
    try:
        return check_who(connection.query_params.get("who"), is_open=edge.settings.open_loopback)
    except InvalidId as error:
        raise Refusal(400, str(error)) from None


def _check_draining(edge: Edge) -> None:
    if edge.is_draining:
        raise Refusal(503, "this edge is being stopped", {"Retry-After": "1"})


def _read(connection_id: str, query: Mapping[str, str]) -> Follow:
    try:
        return follow_of(connection_id, query)
    except (InvalidId, InvalidCursor, InvalidSubject, InvalidQuery) as error:
        raise Refusal(400, str(error)) from None


async def _enter(websocket: WebSocket, connection_id: str | None) -> None:
    """Refuse before the upgrade, or let in: to a topic, or to what the client will name."""
    edge = edge_of(websocket)
    try:
        who = _admit(edge, websocket)
        follow = _read(connection_id, websocket.query_params) if connection_id is not None else None
        if HAND_OVER not in websocket.scope.get("extensions", {}):
            raise Refusal(500, "run uvicorn with --ws mesh_edge.protocol:HandoverProtocol: the edge keeps its sockets")
        if follow is None or connection_id is None:
            await edge.manager.connect_many(websocket, who=who)
            return
        async with edge.lobby(follow.name).wait():
            _check_draining(edge)
            await edge.manager.connect(websocket, connection_id, follow=follow, who=who)
    except Refusal as refusal:
        edge.counts.refused[str(refusal.status)] += 1
        if "websocket.http.response" in websocket.scope.get("extensions", {}):
            await websocket.send_denial_response(refusal.response("The WebSocket was refused"))
        else:
            await websocket.close()
        if refusal.status == 500:
            raise ConfigurationError(str(refusal)) from None


async def _stream(request: Request, connection_id: str) -> Response:
    """Refuse, or answer with events that do not end; ``Last-Event-ID`` is where a browser stands that comes back."""
    edge = edge_of(request)
    try:
        who = _admit(edge, request)
        query = dict(request.query_params)
        if last := request.headers.get("last-event-id"):
            query["since"] = last
        follow = _read(connection_id, query)
        follow = follow._replace(name=follow.name._replace(wire=EVENT_STREAM))
        async with edge.lobby(follow.name).wait():
            _check_draining(edge)
            user_agent = request.headers.get("user-agent", "")[:MOST_USER_AGENT]
            origin = request.headers.get("origin")
            return EventStreamResponse(
                lambda transport: edge.enter_stream(transport, follow, user_agent=user_agent, who=who),
                {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {},
            )
    except Refusal as refusal:
        edge.counts.refused[str(refusal.status)] += 1
        return refusal.response("The event stream was refused")


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


@websocket_router.websocket("/ws/chat/{session_id:mesh_rest}")
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
