"""Errors as problem details (RFC 9457), and the one table from `MeshError` to HTTP.

What is refused because of its content is 422, also an id or a cursor that breaks the grammar; 400 is for a body that is
no JSON at all.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from daena_mesh.errors import (
    Conflict,
    DeletedSession,
    InvalidCursor,
    InvalidEvent,
    InvalidId,
    InvalidQuery,
    InvalidSubject,
    InvalidToken,
    MeshError,
    MeshUnavailable,
    NotCovered,
    UnknownSession,
)

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:daena-mesh:problem:"
_TRY_AGAIN = "The log cannot be reached at the moment. Try again; under the same Idempotency-Key nothing happens twice."
_log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """A kind of problem: its status, its title, and the last part of its ``type``."""

    status: int
    title: str
    name: str


UNAVAILABLE = Kind(503, "NATS does not answer", "unavailable")
BUSY = Kind(503, "Too much at once", "busy")
NOT_READY = Kind(503, "Not ready", "not-ready")
CHANGED = Kind(412, "The session was changed by another writer", "precondition-failed")
NOT_JSON = Kind(400, "The body is not JSON", "not-json")
WRONG_BODY = Kind(422, "The body does not fit", "wrong-body")
WRONG_PARAMETER = Kind(422, "A parameter does not fit", "wrong-parameter")
NO_JSON_TYPE = Kind(415, "The body must be application/json", "unsupported-media-type")
TOO_LARGE = Kind(413, "The body is too large", "too-large")
KEY_REUSED = Kind(422, "The Idempotency-Key was used for another request", "key-reused")
NO_TOKEN = Kind(401, "A token is needed", "no-token")
WRONG_TOKEN = Kind(401, "The token is not accepted", "invalid-token")
NO_KEYS = Kind(503, "The public keys of tokens cannot be had at the moment", "no-token-keys")
NO_COOKIE = Kind(409, "No cookie counts here", "no-cookie")
TOO_LONG_TOKEN = Kind(422, "The token is too long for a cookie", "token-too-long")
FOREIGN_PAGE = Kind(403, "Pages of this origin may not ask here", "foreign-page")
FORBIDDEN = Kind(403, "The token does not allow this", "forbidden")
NOBODY_WRITES = Kind(409, "Nobody is writing", "nobody-writes")
NOT_ALLOWED = Kind(422, "Events of this type are not taken here", "event-not-allowed")
UNKNOWN_AGENT = Kind(404, "There is no such agent", "unknown-agent")
UNKNOWN_TASK = Kind(404, "There is no such task", "unknown-task")
NOT_CANCELLED = Kind(409, "The task cannot be cancelled", "not-cancelled")
AGENT_AWAY = Kind(503, "The agent is not there", "agent-away")
AGENT_SILENT = Kind(504, "The agent does not answer", "agent-silent")
INTERNAL = Kind(500, "Something went wrong in the mesh", "internal")

KINDS: Mapping[type[MeshError], Kind] = {
    InvalidId: Kind(422, "An id breaks the grammar", "invalid-id"),
    InvalidCursor: Kind(422, "A cursor is none of this mesh", "invalid-cursor"),
    InvalidSubject: Kind(422, "A subject breaks the grammar", "invalid-subject"),
    InvalidQuery: Kind(422, "A parameter makes no sense", "invalid-query"),
    InvalidToken: WRONG_TOKEN,
    InvalidEvent: Kind(422, "The event is not valid", "invalid-event"),
    NotCovered: Kind(422, "No stream takes this event", "not-covered"),
    UnknownSession: Kind(404, "There is no such session", "unknown-session"),
    DeletedSession: Kind(410, "The session was deleted", "deleted-session"),
    Conflict: Kind(409, "Another writer was first", "conflict"),
    MeshUnavailable: UNAVAILABLE,
}
"""The table. An error that is none of these is our own fault: 500."""


class Problem(Exception):
    """A request that ends here, with what the caller is told."""

    def __init__(self, kind: Kind, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})


def problem_of(error: MeshError) -> Problem:
    """What the caller is told about ``error``, by the table."""
    kind = next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), INTERNAL)
    if kind is INTERNAL:
        return Problem(INTERNAL, "The log says more.")
    if isinstance(error, MeshUnavailable):
        _log.info("%s", error)  # it names servers, which are none of the caller's business
        return Problem(kind, _TRY_AGAIN, {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))})
    return Problem(kind, str(error))


def respond(problem: Problem, path: str) -> Response:
    """The answer that says it; ``path`` is what was asked for."""
    kind = problem.kind
    details = {
        "type": _TYPE + kind.name,
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "instance": path[:200],
    }
    return Response(msgspec.json.encode(details), kind.status, problem.headers, MEDIA_TYPE)


def of_status(status: int) -> Kind:
    """The kind for a bare HTTP status."""
    phrase = HTTPStatus(status).phrase
    return Kind(status, phrase, phrase.lower().replace(" ", "-"))


def install(app: FastAPI, allowed: Callable[[str], str]) -> None:
    """Have every error of ``app`` answered as problem details; ``allowed`` gives the methods for a path."""

    @app.exception_handler(Problem)
    async def refused(request: Request, error: Problem) -> Response:
        return respond(error, request.url.path)

    @app.exception_handler(MeshError)
    async def failed(request: Request, error: MeshError) -> Response:
        problem = problem_of(error)
        if problem.kind is INTERNAL:
            raise error
        return respond(problem, request.url.path)

    @app.exception_handler(HTTPException)
    async def misdirected(request: Request, error: HTTPException) -> Response:
        if error.status_code < 400:
            return Response(status_code=error.status_code, headers=error.headers)
        detail = str(error.detail)
        if error.status_code == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
            detail = "There is nothing at this address; /docs lists what there is."
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = allowed(request.url.path) or headers.get("Allow", "")
            if request.method == "OPTIONS":
                return Response(status_code=204, headers=headers)
            detail = f"{request.method[:20]} is not possible here; {headers['Allow']} is."
        return respond(Problem(of_status(error.status_code), detail, headers), request.url.path)

    @app.exception_handler(RequestValidationError)
    async def mistyped(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:])
        return respond(Problem(WRONG_PARAMETER, f"{name}: {first['msg']}"), request.url.path)
