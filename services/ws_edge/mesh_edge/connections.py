"""`GET /edge/connections`: who is connected, for operators. A page at a time, over all processes of an edge."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response

from daena_mesh.errors import InvalidId
from daena_mesh.ids import rfc3339_of
from mesh_edge.gate import Refusal
from mesh_edge.metrics import route_of
from mesh_edge.operators import Operators
from mesh_edge.router import edge_of
from mesh_edge.topic_name import topic_of
from mesh_edge.whole import View, whole_of

if TYPE_CHECKING:
    from mesh_edge.edge import Edge
    from mesh_edge.link import Link

MOST = 1_000
_USUAL = 100


class Asked(msgspec.Struct):
    """What an operator wants to see."""

    limit: int = _USUAL
    after: str = ""
    """A ``socket_id``: those behind it."""
    connection_id: str = ""
    """A group; empty: all."""


class Connection(msgspec.Struct, kw_only=True):
    """What is known of a client."""

    socket_id: str
    edge: str
    route: str
    connection_ids: list[str]
    user: str | None
    address: str
    user_agent: str
    connected_since: str
    last_seen: str
    is_behind: bool
    """Whether it is served from the log, on some topic."""
    buffered_bytes: int
    metadata: dict[str, Any]


class Page(msgspec.Struct):
    """Some connections, by rising ``socket_id``."""

    count: int
    """How many there are in all that were asked for."""
    connections: list[Connection]
    next: str | None = None
    """What to give as ``after`` for the next page; None where there is none."""


def describe(edge: Edge, link: Link) -> Connection:
    """What is known of one client."""
    readers = tuple(link.readers)
    return Connection(
        socket_id=link.socket_id,
        edge=edge.edge_id,
        route=route_of(link),
        connection_ids=[reader.topic.name for reader in readers],
        user=link.visitor.present_as,
        address=link.address,
        user_agent=link.visitor.user_agent,
        connected_since=rfc3339_of(link.connected_at),
        last_seen=rfc3339_of(link.heard),
        is_behind=any(reader.positions is not None for reader in readers),
        buffered_bytes=link.transport.get_write_buffer_size(),
        metadata=link.metadata or {},
    )


def page_of(edge: Edge, asked: Asked) -> Page:
    """The page of one process."""
    group = asked.connection_id
    found = {
        link.socket_id: link
        for link in edge.sockets()
        if not group or any(reader.topic.name == group for reader in link.readers)
    }
    behind = found if not asked.after else [socket_id for socket_id in found if socket_id > asked.after]
    shown = [describe(edge, found[socket_id]) for socket_id in heapq.nsmallest(asked.limit, behind)]
    return Page(len(found), shown, shown[-1].socket_id if len(behind) > len(shown) else None)


def joined(pages: list[Page | None], limit: int) -> Page:
    """The pages of several processes as one; those that did not answer are missing."""
    answered = [page for page in pages if page is not None]
    every = sorted((one for page in answered for one in page.connections), key=lambda one: one.socket_id)
    shown = every[:limit]
    more = len(every) > len(shown) or any(page.next is not None for page in answered)
    return Page(sum(page.count for page in answered), shown, shown[-1].socket_id if more and shown else None)


CONNECTIONS = View("connections", Asked, Page, page_of)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    gate = edge_of(app).gate
    app.state.mesh_operators = Operators(gate.keyring, gate.origins, gate.revoked)
    yield


connections_router = APIRouter(lifespan=_lifespan)
"""Include it after the `mesh_edge.websocket_router`."""


@connections_router.get("/edge/connections", include_in_schema=False)
async def connections(request: Request, limit: str = str(_USUAL), after: str = "", connection_id: str = "") -> Response:
    """Show who is connected: `limit` (to 1,000) at a time, those behind the socket `after`, those in one group."""
    operators: Operators = request.app.state.mesh_operators
    try:
        await operators.settled(request)
        operators.check(request)
        asked = _read(limit, after, connection_id)
    except Refusal as refusal:
        return refusal.response("The connections are not shown")
    pages = await whole_of(request).each(CONNECTIONS, edge_of(request), asked)
    return Response(
        msgspec.json.encode(joined(pages, asked.limit)),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _read(limit: str, after: str, connection_id: str) -> Asked:
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST):
        raise Refusal(400, f"limit must be a number from 1 to {MOST}")
    try:
        return Asked(int(limit), after[:64], topic_of(connection_id).name if connection_id else "")
    except InvalidId as error:
        raise Refusal(400, str(error)) from None
