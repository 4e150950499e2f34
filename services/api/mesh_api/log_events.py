"""`GET /events`: the log as people read it, in pages: from a position or a time on, or back from the newest event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response

from daena_mesh import codec, trace
from daena_mesh.codec import Poison
from daena_mesh.cursors import Positions
from daena_mesh.errors import InvalidCursor, InvalidQuery
from daena_mesh.layout import LETTERS, epoch_subject
from daena_mesh.log import Log
from daena_mesh.stored import Stored, kind_of
from daena_mesh.subjects import check_pattern
from mesh_api import access
from mesh_api.bodies import answer
from mesh_api.callers import caller_of
from mesh_api.context import context_of
from mesh_api.guarded_route import GuardedRoute
from mesh_api.log_pages import MOST_EVENTS, Page
from mesh_api.openapi import answers

router = APIRouter(prefix="/api/v1", tags=["events"], route_class=GuardedRoute)

_MOST_PATTERNS = 8
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""What nats-server can count in nanoseconds since 1970, and no more."""
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_POSITION = {"examples": ["Rk3f9ab-120.Sp9a2cd-88"]}

Subjects = Annotated[
    list[str] | None, Query(max_length=_MOST_PATTERNS, description="Only what these subjects match, such as `chat.>`.")
]
Since = Annotated[
    str | None,
    Query(
        max_length=400,
        description="What follows a position: `next` of a page, or the `cursor` of an event. Streams that it does not "
        "name are read from that moment on.",
        json_schema_extra=_POSITION,
    ),
]
Before = Annotated[
    str | None,
    Query(max_length=400, description="What came before: `previous` of a page.", json_schema_extra=_POSITION),
]
At = Annotated[
    str | None,
    Query(
        max_length=64,
        description="What was stored at this time or later: RFC 3339, with an offset.",
        json_schema_extra={"format": "date-time"},
    ),
]
Limit = Annotated[int, Query(ge=1, le=MOST_EVENTS, description="How many events at most.")]


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """What lay between two positions was asked for, and the limits of its stream have removed it."""

    before: str
    after: str
    reason: Literal["expired"] = "expired"


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Events out of the log, oldest first, of all streams by the time of their storing.

    Each is the object that a socket on ``/ws/events`` would get, without ``prev``, and with the ``traceparent`` that it
    was published with (W3C Trace Context). A page has about a mebibyte at most.
    """

    events: list[dict[str, Any]]
    next: str
    """The ``since`` of what follows, also for a socket that goes on live from here."""
    previous: str
    """The ``before`` of what came before."""
    more: bool
    """Whether there is more in the direction in which was read, as far as is known."""
    gaps: list[Lost]
    unreadable: int
    """How many messages are left out that are no events."""


class _Events(msgspec.Struct, frozen=True, kw_only=True):
    """The same on its way out: events are written as they were stored."""

    events: list[msgspec.Raw]
    next: str
    previous: str
    more: bool
    gaps: list[Lost]
    unreadable: int


@router.get("/events", responses=answers(Events))
async def list_events(
    request: Request,
    *,
    subject: Subjects = None,
    since: Since = None,
    before: Before = None,
    at: At = None,
    limit: Limit = 100,
) -> Response:
    """Read the log: the newest events, or those since a position or a time, or those before a position."""
    context, caller = context_of(request), caller_of(request)
    if sum(given is not None for given in (since, before, at)) > 1:
        raise InvalidQuery("`since`, `before` and `at` contradict each other: at most one of them can be given")
    moment = None if at is None else time_at(at)
    wanted = [check_pattern(pattern) for pattern in dict.fromkeys(subject or [">"])]
    log, pages = context.mesh.log, context.log_pages
    for pattern in wanted:
        if not log.layout.split([pattern]):
            log.layout.stream_of(pattern)  # says what would help
    filters = log.layout.split(await access.readable(context, caller, wanted))
    await context.mesh.connection.wait_ready(context.settings.api_wait_s)
    if before is not None:
        named = await _sequences(log, Positions.parse(before), "before")
        if missing := filters.keys() - named.keys():
            raise InvalidCursor(f"before {before[:80]!a} names no position in {' and '.join(sorted(missing))}")
        page = await pages.back(filters, limit, named)
    elif moment is not None:
        page = await pages.onward(filters, await pages.since(list(filters), moment), limit)
    elif since is not None:
        named = await _sequences(log, Positions.parse(since), "since")
        if missing := filters.keys() - named.keys():
            times = [await pages.stored_at(stream, seq) for stream, seq in named.items()]
            meant = min((time for time in times if time is not None), default=datetime.now(UTC))
            named |= await pages.since(list(missing), meant)
        page = await pages.onward(filters, named, limit)
    else:
        page = await pages.back(filters, limit)
    return answer(_told(log, page))


def time_at(text: str) -> datetime:
    """A time of RFC 3339, from 1970 to 2200; raises `InvalidQuery`."""
    try:
        time = msgspec.convert(text, _Time)
        return min(max(time, _FIRST), _LAST).astimezone(UTC)
    except msgspec.ValidationError:
        raise InvalidQuery(f"at {text[:64]!a} is no time such as '2026-11-27T09:30:00Z'") from None


async def _sequences(log: Log, positions: Positions, what: str) -> dict[str, int]:
    """The sequences of positions that this mesh has given out; raises `InvalidCursor`."""
    found = {}
    for stream in log.layout.streams:
        if (cursor := positions.get(LETTERS[stream])) is None:
            continue
        epoch = log.epochs.get(stream)
        is_foreign = epoch is not None and cursor.epoch != epoch.name
        if is_foreign or cursor.seq > (await log.bounds(stream))[1] + 1:
            raise InvalidCursor(f"{what} {str(cursor)!r} is of another log, or of one that was made anew since")
        found[stream] = cursor.seq
    if len(found) < len(positions):
        raise InvalidCursor(f"{what} names a stream that there is not")
    return found


def frame(message: Stored, cursor: str, most_bytes: int) -> bytes:
    """A stored message as a socket on ``events`` gets it, with its trace; raises `Poison` for what is no event."""
    if (kind := kind_of(message.subject)) is None:
        raise Poison("its subject breaks the grammar")
    envelope = codec.check(message.body, kind.event_type, most_bytes)
    traceparent = trace.of_headers(message.headers).encode()
    return codec.splice(
        b'{"topic":"events","cursor":"%b","subject":"%b",%b'
        % (cursor.encode(), message.subject, b'"traceparent":"%b",' % traceparent if traceparent else b""),
        message.body,
        envelope,
        event_type=kind.event_type.encode(),
        event_id=message.msg_id or cursor.encode(),
        time=message.time,
    )


def _told(log: Log, page: Page) -> _Events:
    events, unreadable = [], 0
    for message in page.messages:
        if message.subject == epoch_subject(message.stream).encode():
            continue
        try:
            cursor = log.cursor(message.stream, message.seq)
            events.append(msgspec.Raw(frame(message, cursor, log.settings.max_body_bytes)))
        except Poison:
            unreadable += 1
    gaps = [
        Lost(before=log.cursor(stream, before), after=log.cursor(stream, after))
        for stream, (before, after) in page.lost.items()
    ]
    return _Events(
        events=events,
        next=_position(log, page.following),
        previous=_position(log, page.previous),
        more=page.more,
        gaps=gaps,
        unreadable=unreadable,
    )


def _position(log: Log, sequences: Mapping[str, int]) -> str:
    return ".".join(log.cursor(stream, seq) for stream, seq in sequences.items())
