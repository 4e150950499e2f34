"""The OpenAPI document: routes from FastAPI, bodies and answers from msgspec."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import daena_mesh
from mesh_api.prefer import MOST_WAIT_S
from mesh_api.problems import MEDIA_TYPE

ID_PATTERN = "^[A-Za-z0-9_-]{1,64}$"
"""The grammar of ids, as `daena_mesh.subjects.check_id` has it."""

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


def _header(name: str, about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": about, "schema": schema}


_KEY = _header(
    "Idempotency-Key",
    "Makes a retry safe for 10 minutes: the same key finds what the first attempt has done.",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
)
_PREFER = _header(
    "Prefer",
    f"`wait=20` has the call wait for an answer, 20 seconds at most here and never more than {MOST_WAIT_S}, and fill "
    "`response` with it (RFC 7240).",
    {"type": "string", "examples": ["wait=20"]},
)
_MATCH = _header("If-Match", "Do it only if the session still has this ETag.", {"type": "string"})


def takes(
    cls: type[msgspec.Struct] | None, *, guarded: bool = False, waits: bool = False, keyed: bool = True
) -> dict[str, Any]:
    """For ``openapi_extra``: the route takes this body and, where it is ``keyed``, `Idempotency-Key`.

    Also `If-Match` where it is ``guarded``, and `Prefer` where it ``waits``.
    """
    extra: dict[str, Any] = {
        "parameters": [*([_KEY] if keyed else []), *([_MATCH] if guarded else []), *([_PREFER] if waits else [])]
    }
    if cls is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(cls)}}}
    return extra


def answers(cls: type[msgspec.Struct]) -> dict[int | str, dict[str, Any]]:
    """For ``responses``: what the route answers, and what it does where it cannot."""
    return {
        200: {"description": "Done.", "content": {"application/json": {"schema": _ref(cls)}}},
        "default": {
            "description": "Why it was not done.",
            "content": {MEDIA_TYPE: {"schema": _ref(ProblemDetails)}},
        },
    }


def allowed(app: FastAPI, path: str) -> str:
    """The methods that ``path`` knows, as an ``Allow`` header has them (RFC 9110, section 10.2.1); empty for none."""
    for template, operations in document(app)["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            methods = {"OPTIONS", *(method.upper() for method in operations)}
            return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))
    return ""


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
                for parameter in operation.get("parameters", ()):
                    _say_grammar(parameter)
        app.openapi_schema = made
    return app.openapi_schema


def _say_grammar(parameter: dict[str, Any]) -> None:
    """Ids are read as texts, and refused by their grammar, which is said here."""
    if parameter["in"] == "header":
        return
    schema = parameter["schema"]
    for kind in schema.get("anyOf", [schema]):
        if kind.get("type") != "string":
            continue
        if parameter["name"].endswith("_id") and parameter["name"] != "scope_id":  # that is any text
            kind["pattern"] = ID_PATTERN
        elif parameter["name"] == "topic":
            kind["pattern"] = "^[A-Za-z0-9_-]{1,80}$"
