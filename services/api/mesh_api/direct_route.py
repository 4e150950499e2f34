"""A route that calls its endpoint directly, where FastAPI's injection of dependencies has nothing to do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute


class DirectRoute(APIRoute):
    """For ``APIRouter(route_class=DirectRoute)``.

    An endpoint that takes ``request``, tokens of its path as plain text and nothing else, and that makes its response
    itself, is called with just these. Every other one is served as FastAPI does it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give what answers a request."""
        if not self.is_direct:
            return super().get_route_handler()
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(request=request, **request.path_params)
            return response

        return handle

    @property
    def is_direct(self) -> bool:
        """Whether the endpoint is called directly."""
        hints = get_type_hints(self.endpoint, include_extras=True)
        wanted = {"request": Request, **dict.fromkeys(self.param_convertors, str), "return": Response}
        return hints == wanted and not self.dependencies
