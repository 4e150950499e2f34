"""The API under test: with its lifespan, in this process, asked through ASGI or a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest_asyncio
import uvicorn
from fastapi import FastAPI

from daena_mesh.embedded import NatsServer
from daena_mesh.mesh import Mesh
from mesh_api.app import create_app
from mesh_api.context import Context
from mesh_api.settings import ApiSettings
from tests.support.deadlines import eventually

SESSIONS = "/api/v1/chat-history/sessions"


class Api:
    """A running API: ``client`` asks it, ``context`` is its inside."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient) -> None:
        self.app = app
        self.client = client

    @property
    def context(self) -> Context:
        context: Context = self.app.state.api
        return context

    @property
    def mesh(self) -> Mesh:
        """The API's own connection, to look into the log with."""
        return self.context.mesh

    async def ready(self) -> None:
        """Wait until it says that it is."""

        async def is_ready() -> bool:
            return (await self.client.get("/readyz")).status_code == 200

        await eventually(is_ready)


@asynccontextmanager
async def running_api(
    nats_url: str, *, caller: str = "192.0.2.1", ready: bool = True, settings: ApiSettings | None = None
) -> AsyncIterator[Api]:
    """Run the API on ``nats_url``, asked through ASGI by ``caller``."""
    app = create_app(settings or ApiSettings(nats_url=nats_url))
    transport = httpx.ASGITransport(app, client=(caller, 50_000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api.localhost") as client,
    ):
        api = Api(app, client)
        if ready:
            await api.ready()
        yield api


@asynccontextmanager
async def served_api(nats_url: str) -> AsyncIterator[Api]:
    """Run the API behind uvicorn on a free port of loopback."""
    app = create_app(ApiSettings(nats_url=nats_url))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None, timeout_graceful_shutdown=2))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment] # they are pytest's
    serving = asyncio.create_task(server.serve([listening]))
    try:
        await eventually(lambda: server.started)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url) as client:
            api = Api(app, client)
            await api.ready()
            yield api
    finally:
        server.should_exit = True
        await serving
        listening.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(shared_nats: NatsServer) -> AsyncIterator[Api]:
    """Give one API to all tests of a module, which run in the module's event loop and keep apart by their ids."""
    async with running_api(shared_nats.url) as api:
        yield api
