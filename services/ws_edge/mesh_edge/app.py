"""An edge as an application of its own: ``mesh edge``."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from daena_mesh.metrics import MEDIA_TYPE, merged, single, text
from mesh_edge.connections import CONNECTIONS, connections_router
from mesh_edge.edge import Edge
from mesh_edge.metrics import METRICS
from mesh_edge.router import edge_of, websocket_router
from mesh_edge.siblings import Siblings
from mesh_edge.whole import View, Whole, whole_of


class Status(msgspec.Struct):
    """How one process of an edge is."""

    edge: str
    status: str
    is_ready: bool


def _status(edge: Edge, _asked: None) -> Status:
    state = "draining" if edge.is_draining else edge.mesh.connection.state
    return Status(edge.edge_id, state, edge.is_ready)


STATUS = View("status", type(None), Status, _status)


def create_app(siblings: Siblings | None = None) -> FastAPI:
    """The application; its edge reads its settings when it starts. ``siblings`` are the processes on the same port."""
    whole = Whole([STATUS, METRICS, CONNECTIONS], siblings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with whole.answering(edge_of(app)):
            yield

    app = FastAPI(title="Daena Mesh edge", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.mesh_whole = whole
    app.include_router(websocket_router)
    operations = APIRouter(lifespan=lifespan)  # within that of the edge

    @operations.get("/healthz")
    async def healthz(request: Request) -> dict[str, str]:
        """The process lives."""
        return {"status": "ok", "edge": edge_of(request).edge_id}

    @operations.get("/readyz")
    async def readyz(request: Request) -> Response:
        """New sockets are welcome, at each of its processes."""
        told = await whole_of(request).each(STATUS, edge_of(request), None)
        workers = [Status("", "silent", is_ready=False) if one is None else one for one in told]
        first = next((worker for worker in workers if not worker.is_ready), workers[0])
        body: dict[str, object] = {"status": first.status, "edge": first.edge}
        if len(workers) > 1:
            body["workers"] = [{"status": worker.status, "edge": worker.edge} for worker in workers]
        return JSONResponse(body, 200 if first.is_ready else 503)

    @operations.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Counters for Prometheus, of each of its processes."""
        whole = whole_of(request)
        told = await whole.each(METRICS, edge_of(request), None)
        if whole.count == 1:
            return Response(text(told[0] or []), media_type=MEDIA_TYPE)
        answered = {str(number): metrics for number, metrics in enumerate(told, 1) if metrics is not None}
        every = merged(answered, "worker")
        every.append(single("mesh_edge_workers", "gauge", "Processes that share the port.", whole.count))
        every.append(single("mesh_edge_workers_silent", "gauge", "Those that do not answer.", told.count(None)))
        return Response(text(every), media_type=MEDIA_TYPE)

    app.include_router(operations)
    app.include_router(connections_router)
    return app
