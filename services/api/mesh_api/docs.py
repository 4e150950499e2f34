"""`/openapi.json`, `/asyncapi.json`, and `/docs`: one page made of both, which needs no script and no network."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from mesh_api.bodies import answer
from mesh_api.openapi import document

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi_json(request: Request) -> Response:
    """Give the OpenAPI document."""
    return answer(document(request.app))
