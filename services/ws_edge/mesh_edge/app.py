"""An edge as an application of its own: ``mesh edge``."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from mesh_edge.router import edge_of, websocket_router


def create_app() -> FastAPI:
    """The application; its edge reads its settings when it starts."""
    app = FastAPI(title="Daena Mesh edge", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(websocket_router)

    @app.get("/healthz")
    async def healthz(request: Request) -> dict[str, str]:
        """The process lives."""
        return {"status": "ok", "edge": edge_of(request).edge_id}

    @app.get("/readyz")
    async def readyz(request: Request) -> Response:
        """New sockets are welcome."""
        edge = edge_of(request)
        state = "draining" if edge.is_draining else edge.mesh.connection.state
        return JSONResponse({"status": state, "edge": edge.edge_id}, 200 if edge.is_ready else 503)

    return app
