"""The WebSocket routes, as a router that any FastAPI application includes.

>>> from mesh_edge import websocket_router
>>> app.include_router(websocket_router)

Run uvicorn with ``--ws mesh_edge.protocol:HandoverProtocol``. The router brings its edge along: it starts and ends with
the application.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.responses import JSONResponse
from starlette.convertors import Convertor, register_url_convertor

from daena_mesh.cursors import Positions
from daena_mesh.errors import ConfigurationError, InvalidCursor, InvalidId
from daena_mesh.settings import load
from mesh_edge.edge import Edge
from mesh_edge.presence import check_who
from mesh_edge.protocol import HAND_OVER
from mesh_edge.settings import EdgeSettings
from mesh_edge.topic_name import COUNCIL, EVENTS, topic_of


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


async def _enter(websocket: WebSocket, connection_id: str) -> None:
    """Refuse before the upgrade, or let in."""
    edge = edge_of(websocket)
    headers = websocket.headers
    origins, hosts = headers.getlist("origin"), headers.getlist("host")
    if len(origins) > 1 or not edge.origins.allows(origins[0] if origins else None, ",".join(hosts) or None):
        shown = ascii((origins or ["none"])[0][:100])
        return await _refuse(websocket, 403, f"pages of origin {shown} may not connect here; MESH_ORIGINS allows more")
    if edge.is_draining:
        return await _refuse_draining(websocket)
    try:
        topic = topic_of(connection_id)
        since = websocket.query_params.get("since")
        positions = Positions.parse(since) if since else Positions()
        who = check_who(websocket.query_params.get("who"), is_open=edge.settings.open_loopback)
    except (InvalidId, InvalidCursor) as error:
        return await _refuse(websocket, 400, str(error))
    if HAND_OVER not in websocket.scope.get("extensions", {}):
        detail = "run uvicorn with --ws mesh_edge.protocol:HandoverProtocol: the edge takes its sockets over"
        await _refuse(websocket, 500, detail)
        raise ConfigurationError(detail)
    async with edge.lobby(topic).wait():
        return await _connect(websocket, edge, connection_id, positions, who)


async def _connect(websocket: WebSocket, edge: Edge, connection_id: str, since: Positions, who: str | None) -> None:
    if edge.is_draining:
        await _refuse_draining(websocket)
    else:
        await edge.manager.connect(websocket, connection_id, since=since, who=who)


async def _refuse_draining(websocket: WebSocket) -> None:
    await _refuse(websocket, 503, "this edge is being stopped", {"Retry-After": "1"})


async def _refuse(websocket: WebSocket, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
    """Answer the handshake with a problem (RFC 9457)."""
    body = {"type": "about:blank", "title": "The WebSocket was refused", "status": status, "detail": detail}
    response = JSONResponse(body, status, headers, media_type="application/problem+json")
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(response)
    else:
        await websocket.close()


websocket_router = APIRouter(lifespan=_lifespan)


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
