"""Two edges that are alike but for their doors, FastAPI's route and the lean one: what holds of one holds of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from mesh_edge.door import Door
from tests.support.edge import RunningEdge, running_edge


class Pair(NamedTuple):
    """An edge behind each of the doors."""

    route: RunningEdge
    lean: RunningEdge


@asynccontextmanager
async def both_doors(nats_url: str, **options: Any) -> AsyncIterator[Pair]:
    """Serve both edges; ``options`` are those of `running_edge`."""
    async with running_edge(nats_url, **options) as route, running_edge(nats_url, http=Door, **options) as lean:
        yield Pair(route, lean)
