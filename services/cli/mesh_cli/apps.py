"""The applications that `mesh` serves, composed of what the services offer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from fastapi import FastAPI

from daena_mesh.mesh import Mesh
from daena_mesh.metrics import Metric
from mesh_api.app import create_app as create_api
from mesh_api.context import Context
from mesh_cli.garbage import settle
from mesh_edge import edge_of, websocket_router
from mesh_edge.app import create_app as create_edge
from mesh_edge.connections import connections_router
from mesh_edge.metrics import edge_metrics
from mesh_edge.siblings import Siblings


def mesh_app(nats_url: str, metrics: Callable[[], Iterable[Metric]] = tuple) -> FastAPI:
    """Make the whole mesh as one application on one origin: API, WebSockets and page.

    ``metrics`` are shown with its own.
    """
    app = api_app(nats_url)
    app.include_router(websocket_router)
    app.include_router(connections_router)
    app.state.other_metrics = lambda: [*edge_metrics(edge_of(app)), *metrics()]
    return app


def api_app(nats_url: str) -> FastAPI:
    """Make the API with the page."""
    _tell_all(nats_url)
    app = create_api(with_page=True)
    settle()
    return app


def edge_app(nats_url: str, siblings: Siblings | None = None) -> FastAPI:
    """Make an edge; ``siblings`` are the processes that share its port."""
    _tell_all(nats_url)
    if siblings and (edge_id := os.environ.get("MESH_EDGE_ID")):
        os.environ["MESH_EDGE_ID"] = f"{edge_id}-{siblings.number}"
    return create_edge(siblings)


def mesh_of(app: FastAPI) -> Mesh:
    """The mesh to which the API of ``app`` is connected."""
    context: Context = app.state.api
    return context.mesh


async def drain(app: FastAPI) -> None:
    """Ask the sockets of ``app`` to come back, here or elsewhere, before they are closed."""
    if hasattr(app.state, "mesh_edge"):
        await edge_of(app).drain()


def _tell_all(nats_url: str) -> None:
    """Let every part that reads its settings in this process find the same NATS."""
    if nats_url:
        os.environ["MESH_NATS_URL"] = nats_url
