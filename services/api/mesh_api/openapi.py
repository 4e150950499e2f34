"""The OpenAPI document: routes from FastAPI, bodies and answers from msgspec."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import daena_mesh
from mesh_api.problems import MEDIA_TYPE

_REF = "#/components/schemas/{name}"
_types: dict[str, type[msgspec.Struct]] = {}


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    instance: str


def _ref(cls: type[msgspec.Struct]) -> dict[str, str]:
    _types[cls.__name__] = cls
    return {"$ref": _REF.format(name=cls.__name__)}


def takes(cls: type[msgspec.Struct]) -> dict[str, Any]:
    """For ``openapi_extra``: the route takes this body, and an `Idempotency-Key`."""
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Makes a retry safe for 10 minutes: the same key finds what the first attempt has done.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }
    content = {"application/json": {"schema": _ref(cls)}}
    return {"requestBody": {"required": True, "content": content}, "parameters": [key]}


def answers(cls: type[msgspec.Struct]) -> dict[int | str, dict[str, Any]]:
    """For ``responses``: what the route answers, and what it does where it cannot."""
    return {
        200: {"description": "Done.", "content": {"application/json": {"schema": _ref(cls)}}},
        "default": {
            "description": "Why it was not done.",
            "content": {MEDIA_TYPE: {"schema": _ref(ProblemDetails)}},
        },
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The document of ``app``, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title="Daena Mesh",
            version=daena_mesh.__version__,
            summary="Chat, sessions and events of a real-time event mesh.",
            description="A write is answered once it is stored. Errors are problem details (RFC 9457).",
            routes=app.routes,
        )
        _, schemas = msgspec.json.schema_components(_types.values(), ref_template=_REF)
        made.setdefault("components", {})["schemas"] = dict(sorted(schemas.items()))
        for path in made["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)  # FastAPI's own form, which is not what is answered
        app.openapi_schema = made
    return app.openapi_schema
