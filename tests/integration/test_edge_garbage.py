"""What a client leaves behind is given back at once: garbage that waits for the collector is memory for each socket."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from mesh_edge.conversation import Conversation
from mesh_edge.door import Door
from mesh_edge.link import Link
from mesh_edge.reader import Reader
from tests.support.deadlines import eventually
from tests.support.edge import RunningEdge, running_edge
from tests.support.event_source import event_source

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMES = 5


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["auto", Door], ids=["route", "lean"])
async def edge(shared_nats: NatsServer, mesh: Mesh, request: pytest.FixtureRequest) -> AsyncIterator[RunningEdge]:
    async with running_edge(shared_nats.url, http=request.param) as edge:
        yield edge


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left() -> Counter[str]:
    """What there is of clients."""
    kinds = [type(one) for one in gc.get_objects()]
    return Counter(kind.__name__ for kind in kinds if issubclass(kind, (Link, Reader, Conversation)))


async def follow(edge: RunningEdge, cursor: str) -> None:
    async with edge.connect("/ws/chat/garbage"):
        pass


async def resume(edge: RunningEdge, cursor: str) -> None:
    async with edge.connect(f"/ws/chat/garbage?since={cursor}") as client:
        await client.events(1)


async def talk(edge: RunningEdge, cursor: str) -> None:
    async with edge.connect("/ws/chat/garbage") as client:
        await client.pong()


async def follow_many(edge: RunningEdge, cursor: str) -> None:
    async with edge.connect("/ws") as client:
        await client.ws.send(json.dumps({"type": "subscribe", "topic": "chat_garbage", "since": cursor}))
        await client.events(1)


async def stream(edge: RunningEdge, cursor: str) -> None:
    async with event_source(edge.port, "/sse/chat/garbage") as client:
        await client.frame()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("visit", [follow, resume, talk, follow_many, stream])
async def test_nothing_of_a_client_waits_for_the_collector(edge: RunningEdge, mesh: Mesh, visit: Any) -> None:
    first = await mesh.publish("chat.garbage.message", {"content": "1"})
    await mesh.publish("chat.garbage.message", {"content": "2"})
    before = left()
    for _ in range(TIMES):
        await visit(edge, first.cursor)
    await eventually(lambda: not list(edge.edge.sockets()))
    await eventually(lambda: left() <= before)


async def test_a_client_is_seen_while_it_is_there(edge: RunningEdge) -> None:
    before = left()
    async with edge.connect("/ws/chat/garbage"):
        assert left() - before == Counter({"Socket": 1, "Reader": 1})
