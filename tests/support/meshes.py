"""Meshes on a real nats-server, and what comes out of their feeds."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from daena_mesh.events import Event
from daena_mesh.feed import Feed, Gap
from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings
from tests.support.deadlines import WITHIN_S, within


def mesh_at(url: str, *, wait_s: float = 5.0, provisions: bool = True, **settings: Any) -> Mesh:
    """Make a mesh that provisions its streams, as the API's does; ``settings`` are those of `MeshSettings`."""
    return Mesh(MeshSettings(nats_url=url, **settings), name="test", wait_s=wait_s, provisions=provisions)


@contextlib.asynccontextmanager
async def running(url: str, **settings: Any) -> AsyncIterator[Mesh]:
    """Run such a mesh for a block."""
    async with mesh_at(url, **settings) as mesh:
        yield mesh


async def take(feed: Feed, count: int, *, within_s: float = WITHIN_S) -> list[Event | Gap]:
    """Take the next ``count`` items of a feed; TimeoutError when they do not come."""
    async with within(within_s):
        return [await anext(feed) for _ in range(count)]


async def events(feed: Feed, count: int, *, within_s: float = WITHIN_S) -> list[Event]:
    """Take the next ``count`` items, all of which must be events."""
    items = await take(feed, count, within_s=within_s)
    gaps = [item for item in items if isinstance(item, Gap)]
    assert not gaps
    return [item for item in items if isinstance(item, Event)]


async def contents(feed: Feed, count: int, *, within_s: float = WITHIN_S) -> list[Any]:
    """Take the next ``count`` chat messages, and give what they say."""
    return [event.payload["content"] for event in await events(feed, count, within_s=within_s)]
