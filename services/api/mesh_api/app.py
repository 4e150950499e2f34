"""The API as an application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

import daena_mesh
from daena_mesh.settings import load
from mesh_api import (
    agents,
    ai_chat,
    brain,
    chat,
    docs,
    events,
    health,
    log_events,
    login,
    members,
    openapi,
    overview,
    presence,
    problems,
    sessions,
    stops,
    tasks,
)
from mesh_api.context import Context
from mesh_api.guard import Guard
from mesh_api.metrics import Requests
from mesh_api.origins import Origins
from mesh_api.page import page_router
from mesh_api.settings import ApiSettings
from mesh_api.tracing import Tracing


def create_app(settings: ApiSettings | None = None, *, with_page: bool = False) -> FastAPI:
    """Make the API; its lifespan connects to NATS in the background and does not fail where that is away.

    Args:
        settings: read from the environment when left out.
        with_page: serve the console at ``/`` as well.

    Raises:
        ConfigurationError: a setting has a wrong value.
    """
    settings = settings or load(ApiSettings)
    requests = Requests()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.api = context = Context(settings, requests)
        async with context.running():
            yield

    app = FastAPI(
        title="Daena Mesh",
        version=daena_mesh.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    problems.install(app, lambda path: openapi.allowed(app, path))
    app.add_middleware(Origins, settings=settings)
    app.add_middleware(Tracing)
    app.add_middleware(Guard, max_request_bytes=settings.max_request_bytes, requests=requests)
    for router in (
        *(
            chat.router,
            ai_chat.router,
            sessions.router,
            members.router,
            stops.router,
            events.router,
            brain.router,
            presence.router,
        ),
        *(agents.router, tasks.router, log_events.router, overview.router),
        *(login.router, login.open_router, health.router, docs.router),
    ):
        app.router.routes.extend(router.routes)  # as they are: an included router is searched twice for each request
    if with_page:
        app.include_router(page_router())
    return app
