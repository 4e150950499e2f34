"""`GET /brain/status`: what the brains said last."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from daena_mesh.events import Event
from daena_mesh.feed import event_of
from daena_mesh.layout import SIGNALS
from daena_mesh.subjects import Subject
from mesh_api.bodies import answer
from mesh_api.context import Context, context_of
from mesh_api.openapi import answers
from mesh_api.streams import counts

router = APIRouter(prefix="/api/v1", tags=["state"])

_MOST = 100


class BrainState(msgspec.Struct, frozen=True, kw_only=True):
    """What a brain said last of its state."""

    brain_id: str
    status: Any
    payload: dict[str, Any]
    cursor: str
    timestamp: str


class BrainStates(msgspec.Struct, frozen=True, kw_only=True):
    """The states of all brains that said something within the time that signals are kept, newest first."""

    brains: list[BrainState]


@router.get("/brain/status", responses=answers(BrainStates))
async def brain_status(request: Request) -> Response:
    """Read what each brain said last of its state."""
    events = await _last_events(context_of(request), "brain.*.status", "brain.*.status.*")
    newest: dict[str, BrainState] = {}
    for event in events:
        brain_id = Subject.parse(event.subject).id
        newest.pop(brain_id, None)  # to stand where its newest state belongs
        newest[brain_id] = BrainState(
            brain_id=brain_id,
            status=event.payload.get("status"),
            payload=event.payload,
            cursor=event.cursor,
            timestamp=event.timestamp,
        )
    return answer(BrainStates(brains=list(reversed(newest.values()))[:_MOST]))


async def _last_events(context: Context, *patterns: str) -> list[Event]:
    """The last event of each subject on ``patterns``, oldest first."""
    log = context.mesh.log
    counted = await asyncio.gather(*(counts(log.connection, SIGNALS, pattern) for pattern in patterns))
    subjects = [subject for found in counted for subject in found.by_subject][:_MOST]
    stored = await asyncio.gather(*(log.last(SIGNALS, subject) for subject in subjects))
    messages = sorted((message for message in stored if message is not None), key=lambda message: message.seq)
    most_bytes = context.mesh.settings.max_body_bytes
    events = (event_of(message, log.cursor(SIGNALS, message.seq), most_bytes) for message in messages)
    return [event for event in events if event is not None]
