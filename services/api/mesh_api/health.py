"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from daena_mesh.metrics import MEDIA_TYPE, Metric, by, single, text, timing
from daena_mesh.token_keys import key_metrics
from mesh_api.bodies import answer
from mesh_api.context import Context, context_of
from mesh_api.problems import NOT_READY, Problem

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz() -> Response:
    """Say that the process runs; whether it is of use, `/readyz` says."""
    return answer({"status": "alive"})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """Say 200 when NATS answers, the streams are as they should be, and what is kept of them is complete; else 503."""
    context = context_of(request)
    connection = context.mesh.connection
    if connection.state != "connected":
        raise Problem(NOT_READY, f"{connection.unavailable()}.", {"Retry-After": "1"})
    for keeper in (context.projector, context.state):
        if not keeper.is_current:
            raise Problem(NOT_READY, f"The {keeper.what} is not complete yet.", {"Retry-After": "1"})
    if context.callers.keyring is not None and context.callers.keyring.is_empty:
        raise Problem(NOT_READY, "The public keys of tokens cannot be had.", {"Retry-After": "5"})
    if context.callers.asks_for_tokens and not context.revocations.is_known:
        raise Problem(NOT_READY, "It is not known yet which tokens were revoked.", {"Retry-After": "1"})
    return answer({"status": "ready"})


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Give counters to Prometheus: the API's, and those of what else the application serves."""
    context = context_of(request)
    others: Callable[[], Iterable[Metric]] = getattr(request.app.state, "other_metrics", tuple)
    return Response(text([context.requests.metric(), *_gauges(context), *others()]), media_type=MEDIA_TYPE)


def _gauges(context: Context) -> list[Metric]:
    mesh, projector, upkeep = context.mesh, context.projector, context.upkeep
    agents, malformed = context.state.state.agents, projector.malformed + context.state.malformed
    connected = mesh.connection.state == "connected"
    return [
        single("mesh_api_nats_connected", "gauge", "Whether NATS and the leaders answer.", int(connected)),
        single(
            "mesh_api_nats_connects_total", "counter", "Connections to NATS that were made.", mesh.connection.connects
        ),
        single("mesh_api_sessions", "gauge", "Sessions there are.", len(projector.projection)),
        single("mesh_api_sessions_complete", "gauge", "Whether that list is complete.", int(projector.is_complete)),
        single("mesh_api_malformed_total", "counter", "Stored events that could not be read.", malformed),
        single("mesh_api_agents", "gauge", "Agents that are there.", agents.there),
        single("mesh_api_streams_ended_total", "counter", "Messages of dead writers ended here.", context.tender.ended),
        single("mesh_api_silences_total", "counter", "Agents found silent, told by this API.", context.silence.told),
        single(
            "mesh_api_unanswered_total",
            "counter",
            "Questions that nobody answered, ended by this API.",
            context.unanswered.ended,
        ),
        single("mesh_api_sessions_adopted_total", "counter", "Sessions made for messages without one.", upkeep.created),
        single("mesh_api_sessions_purged_total", "counter", "Times a deleted session was purged.", upkeep.purged),
        context.queue.metric(),
        *context.fill.metrics(),
        by(
            "reason",
            "mesh_api_auth_failures_total",
            "counter",
            "Requests that were refused for their token, or for what it does not allow.",
            context.requests.refused,
        ),
        timing("mesh_api_ack_seconds", "Until JetStream acknowledged what was written.", mesh.log.acks),
        *key_metrics("mesh_api", context.callers.keyring),
        timing("mesh_api_loop_lag_seconds", "How late the event loop was, looked at twice a second.", context.loop_lag),
        single("mesh_api_tasks", "gauge", "Tasks on the event loop.", len(asyncio.all_tasks())),
    ]
