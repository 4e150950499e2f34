"""`GET /mesh`: what runs, what goes through it, and how fast."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from daena_mesh.ids import now
from mesh_api import figures
from mesh_api.bodies import answer
from mesh_api.callers import caller_of
from mesh_api.context import context_of
from mesh_api.figures import ApiFigures, BrainFigures, EdgeFigures, Node, StreamFigures
from mesh_api.guarded_route import GuardedRoute
from mesh_api.openapi import answers

router = APIRouter(prefix="/api/v1", tags=["state"], route_class=GuardedRoute)


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The processes of the mesh, the servers of NATS and the streams.

    Rates are of the time between the last two looks, ``over_s`` seconds; null where there was none in the last minute.
    """

    timestamp: str
    over_s: float | None
    edges: list[EdgeFigures]
    apis: list[ApiFigures]
    brains: list[BrainFigures]
    cluster: str | None
    nodes: list[Node]
    streams: list[StreamFigures]
    missing: list[str]
    """Streams for which nobody answered."""


@router.get("/mesh", responses=answers(Overview))
async def overview(request: Request) -> Response:
    """Read what runs and what goes through it; with tokens it takes the right to read `system.>`."""
    context = context_of(request)
    caller_of(request).check_read("system.>")
    if not context.mesh.connection.is_connected:  # of a mesh that is degraded there is all the more to see
        await context.mesh.connection.wait_ready(context.settings.api_wait_s)
    last, before = await context.surveys.recent()
    streams = figures.streams_of(last, before)
    return answer(
        Overview(
            timestamp=now(),
            over_s=round(last.at - before.at, 2) if before is not None else None,
            edges=figures.edges_of(last, before),
            apis=figures.apis_of(last, before),
            brains=figures.brains_of(last),
            cluster=last.server.cluster or None,
            nodes=figures.nodes_of(last, streams),
            streams=streams,
            missing=[name for name, info in last.streams.items() if info is None],
        )
    )
