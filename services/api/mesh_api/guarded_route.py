"""The route of everything under ``/api/v1``: nobody gets past it without a token, where tokens are asked for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response

from daena_mesh.errors import MeshUnavailable
from mesh_api.context import context_of
from mesh_api.direct_route import DirectRoute
from mesh_api.problems import Problem


class GuardedRoute(DirectRoute):
    """For ``APIRouter(route_class=GuardedRoute)``: its endpoints ask `caller_of` who asks, and what they may do."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give what answers a request."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            context = context_of(request)
            try:
                await context.callers.settled(request)
                context.callers.admit(request)
                if context.callers.asks_for_tokens and not context.revocations.is_known:
                    raise MeshUnavailable("it is not known yet which tokens were revoked")
                return await answer(request)
            except Problem as problem:
                context.requests.note_problem(problem.kind)
                raise

        return handle
