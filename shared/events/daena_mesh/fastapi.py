"""The mesh in a FastAPI application: connected while it runs, and at hand in its endpoints.

>>> from daena_mesh.fastapi import MeshDep, lifespan
>>> app = FastAPI(lifespan=lifespan)

The emitters (`emit_chat_message` and its like) use the same connection. This module alone needs FastAPI.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from starlette.responses import Response

from daena_mesh.emitters import close_default_mesh, default_mesh
from daena_mesh.errors import (
    Conflict,
    DeletedSession,
    InvalidCursor,
    InvalidEvent,
    InvalidId,
    InvalidSubject,
    MeshError,
    MeshUnavailable,
    NotCovered,
    UnknownSession,
)
from daena_mesh.mesh import Mesh

STATUSES: Mapping[type[MeshError], int] = {
    InvalidId: 422,
    InvalidCursor: 422,
    InvalidSubject: 422,
    InvalidEvent: 422,
    NotCovered: 422,
    UnknownSession: 404,
    DeletedSession: 410,
    Conflict: 409,
    MeshUnavailable: 503,
}
"""What the caller of an endpoint may have caused, or may try again, and its HTTP status; other errors stay errors."""

_open: Counter[asyncio.AbstractEventLoop] = Counter()


@contextlib.asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:  # noqa: ARG001 - FastAPI hands it over
    """Keep the application connected; for one that has a lifespan already, around what that yields.

    Connects in the background: an application starts also while NATS is away. At the end what waits is sent. Raises
    `ConfigurationError` for a wrong setting.
    """
    loop = asyncio.get_running_loop()
    default_mesh()
    _open[loop] += 1
    try:
        yield
    finally:
        _open[loop] -= 1
        if not _open[loop]:
            del _open[loop]
            await close_default_mesh()


async def _mesh() -> AsyncIterator[Mesh]:
    if asyncio.get_running_loop() not in _open:
        raise RuntimeError("the application has no mesh: FastAPI(lifespan=daena_mesh.fastapi.lifespan) connects one")
    try:
        yield default_mesh()
    except tuple(STATUSES) as error:
        raise _answer_to(error) from error


MeshDep = Annotated[Mesh, Depends(_mesh)]
"""The application's `Mesh`, for ``async def endpoint(mesh: MeshDep)``.

What such an endpoint lets pass of the errors in `STATUSES` is answered with that status: without NATS 503, with
``Retry-After``.
"""


async def refuse(request: Request, error: Exception) -> Response:
    """The same answers for endpoints without `MeshDep`: ``app.add_exception_handler(MeshError, refuse)``."""
    if not isinstance(error, tuple(STATUSES)):
        raise error
    return await http_exception_handler(request, _answer_to(error))


def _answer_to(error: Exception) -> HTTPException:
    if isinstance(error, MeshUnavailable):  # its words name servers, which are none of the caller's business
        headers = {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))}
        return HTTPException(503, "The mesh cannot be reached at the moment. Try again.", headers)
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    return HTTPException(status, str(error))
