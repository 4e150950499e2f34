"""Endpoints that need nothing injected are called directly; all others are served as FastAPI does it."""

from __future__ import annotations

from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response

from mesh_api.app import create_app
from mesh_api.direct_route import DirectRoute
from mesh_api.settings import ApiSettings

Short = Annotated[str, Path(max_length=3)]


async def plain(request: Request, name: str) -> Response:
    """Take the request and a token of the path."""
    return Response(f"{request.method} {name} {'fastapi_inner_astack' in request.scope}")


async def queried(request: Request, name: str, *, limit: int = 5) -> Response:
    """Take a query parameter too."""
    return Response(f"{name} {limit + 1}")


async def checked(request: Request, name: Short) -> Response:
    """Take a token that has to be checked."""
    return Response(name)


async def guard() -> None:
    """Let everybody in."""


def app_of() -> FastAPI:
    """Make an application of the endpoints above."""
    router = APIRouter(route_class=DirectRoute)
    router.get("/plain/{name}")(plain)
    router.get("/queried/{name}")(queried)
    router.get("/checked/{name}")(checked)
    router.get("/guarded/{name}", dependencies=[Depends(guard)])(plain)
    app = FastAPI()
    app.router.routes.extend(router.routes)
    return app


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        ("/plain/ada", 200, "GET ada True"),
        ("/queried/ada?limit=7", 200, "ada 8"),
        ("/queried/ada?limit=x", 422, None),
        ("/checked/ada", 200, "ada"),
        ("/checked/adam", 422, None),
        ("/guarded/ada", 200, "GET ada True"),
    ],
)
async def test_answers_are_those_of_fastapi(path: str, status: int, answer: str | None) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of()), base_url="http://api.test") as client:
        response = await client.get(path)
    assert response.status_code == status
    assert answer is None or response.text == answer


def test_only_what_needs_nothing_injected_is_called_directly() -> None:
    direct = {route.path: route.is_direct for route in app_of().router.routes if isinstance(route, DirectRoute)}
    assert direct == {
        "/plain/{name}": True,
        "/queried/{name}": False,
        "/checked/{name}": False,
        "/guarded/{name}": False,
    }


def test_the_chat_calls_are() -> None:
    app = create_app(ApiSettings())
    chats = [route for route in app.router.routes if isinstance(route, DirectRoute) and route.path.endswith("/chat")]
    assert len(chats) == 4
    assert all(route.is_direct for route in chats)
