"""`GET /brain/status`: what the brains said last."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from mesh_api.bodies import answer
from mesh_api.callers import caller_of
from mesh_api.context import context_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.openapi import answers

router = APIRouter(prefix="/api/v1", tags=["state"], route_class=GuardedRoute)


class BrainState(msgspec.Struct, frozen=True, kw_only=True):
    """What a brain said last of its state."""

    brain_id: str
    status: Any
    payload: dict[str, Any]
    cursor: str
    timestamp: str


class BrainStates(msgspec.Struct, frozen=True, kw_only=True):
    """The states of the 100 brains that said something last, newest first."""

    brains: list[BrainState]


@router.get("/brain/status", responses=answers(BrainStates))
async def brain_status(request: Request) -> Response:
    """Read what each brain said last of its state."""
    caller = caller_of(request)
    known = (await context_of(request).state.known()).brains
    brains = [
        BrainState(
            brain_id=brain_id,
            status=event.payload.get("status"),
            payload=event.payload,
            cursor=event.cursor,
            timestamp=event.timestamp,
        )
        for brain_id, (_, event) in reversed(known.items())
        if caller.may_see(brain_id, "brain")
    ]
    return answer(BrainStates(brains=brains))
