"""`/openapi.json`, `/asyncapi.json`, and `/docs`: one page made of both, which needs no script and no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response

from mesh_api import asyncapi, openapi
from mesh_api.bodies import answer
from mesh_api.page import SECURITY_HEADERS

router = APIRouter(include_in_schema=False)

_STYLE = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; } h3 { margin: 2rem 0 0; font-size: 1rem; } p { margin: .3rem 0; }
code, h3 { font-family: ui-monospace, monospace; } td, th { text-align: left; padding: .1rem 1.5rem .1rem 0; }
td { vertical-align: top; } table { font-size: .9rem; margin: .5rem 0; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"


@router.get("/openapi.json")
async def openapi_json(request: Request) -> Response:
    """Give the OpenAPI document."""
    return answer(openapi.document(request.app))


@router.get("/asyncapi.json")
async def asyncapi_json(request: Request) -> Response:
    """Give the AsyncAPI document."""
    return answer(asyncapi.document(request.url.netloc))


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Give the page."""
    page = "\n".join(_page(openapi.document(request.app), asyncapi.document(request.url.netloc)))
    headers = {**SECURITY_HEADERS, "Content-Security-Policy": _POLICY}
    return Response(page, headers=headers, media_type="text/html")


def _page(rest: dict[str, Any], events: dict[str, Any]) -> Iterator[str]:
    yield "<!doctype html><html lang=en><meta charset=utf-8><title>Daena Mesh: API</title>"
    yield f'<meta name=viewport content="width=device-width"><style>{_STYLE}</style>'
    yield f"<h1>Daena Mesh {escape(rest['info']['version'])}</h1><p>{escape(rest['info']['description'])}</p>"
    yield '<p>The same for programs: <a href="openapi.json">openapi.json</a>, '
    yield '<a href="asyncapi.json">asyncapi.json</a>.</p><h2>Calls</h2>'
    for path, operations in rest["paths"].items():
        for method, operation in operations.items():
            yield from _call(rest, path, method, operation)
    yield "<h2>Sockets</h2>"
    for name, channel in events["channels"].items():
        if name.startswith("ws."):
            yield f"<h3>WS {escape(channel['address'])}</h3><p>{escape(channel['description'])}</p>"
            yield from _fields(events, channel["bindings"]["ws"]["query"], "Query")
    yield "<h2>Events</h2>"
    for name, channel in events["channels"].items():
        if name.startswith("nats."):
            event_type = name.removeprefix("nats.")
            yield f"<h3>{escape(event_type)}</h3><p>{escape(channel['description'])}</p>"
            yield f"<p>Published to <code>{escape(channel['address'])}</code></p>"
            schema = events["components"]["schemas"][f"event.{event_type}"]["properties"]["payload"]
            yield from _fields(events, schema, "Payload")


def _call(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<h3>{method.upper()} {escape(path)}</h3><p>{escape(operation.get('description', ''))}</p>"
    parameters = {
        "properties": {p["name"]: {**p["schema"], "description": p.get("description", "")} for p in parameters}
        if (parameters := operation.get("parameters"))
        else {},
        "required": [p["name"] for p in parameters if p.get("required")] if parameters else [],
    }
    yield from _fields(document, parameters, "Parameter")
    if (body := operation.get("requestBody")) is not None:
        yield from _fields(document, body["content"]["application/json"]["schema"], "Body")
    success = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema")
    if success:
        yield from _fields(document, success, "Answer")


def _fields(document: dict[str, Any], schema: dict[str, Any], title: str) -> Iterator[str]:
    schema = _resolved(document, schema)
    if not (properties := schema.get("properties")):
        return
    required = schema.get("required", ())
    yield f"<table><tr><th>{title}<th>Type<th>"
    for name, field in properties.items():
        star = "" if name in required else " (optional)"
        about = escape(str(field.get("description", "")))
        yield f"<tr><td><code>{escape(name)}</code>{star}<td>{escape(_type(field))}<td>{about}"
    yield "</table>"


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if (ref := schema.get("$ref")) is None:
        return schema
    name = ref.rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def _type(schema: dict[str, Any]) -> str:
    """A type in a few words."""
    if (ref := schema.get("$ref")) is not None:
        return str(ref.rpartition("/")[2])
    if (choices := schema.get("anyOf")) is not None:
        return " or ".join(_type(choice) for choice in choices)
    if (values := schema.get("enum")) is not None:
        return " | ".join(map(str, values))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
