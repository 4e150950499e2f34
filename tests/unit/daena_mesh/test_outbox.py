from __future__ import annotations

import asyncio

import pytest

from daena_mesh.errors import InvalidEvent, MeshUnavailable
from daena_mesh.log import Ack
from daena_mesh.outbox import Outbox
from tests.support.deadlines import eventually


class Store:
    """A log that is there or not."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.stored: list[str] = []
        self.refused = "refused"

    async def __call__(self, subject: str, body: bytes, event_id: str) -> Ack:
        if not self.open.is_set():
            raise MeshUnavailable("away")
        if event_id == self.refused:
            raise InvalidEvent("never")
        self.stored.append(event_id)
        return Ack(event_id, "Sp9a-1", 1, duplicate=False)


async def test_what_is_kept_is_stored_in_order_once_that_works() -> None:
    store = Store()
    outbox = Outbox(store)
    for i in range(10):
        assert outbox.keep("agent.a.status", b"{}", str(i)) == Ack(str(i), "", 0, duplicate=False)
    assert len(outbox) == 10
    store.open.set()
    await eventually(lambda: not outbox)
    assert store.stored == [str(i) for i in range(10)]
    assert outbox.dropped == 0


@pytest.mark.promise("P-SIGNAL-1")
async def test_it_is_bounded_and_drops_the_oldest_counted() -> None:
    store = Store()
    outbox = Outbox(store, most=3)
    for i in range(10):
        outbox.keep("agent.a.status", b"{}", str(i))
        assert len(outbox) <= 3
    assert outbox.dropped == 7
    store.open.set()
    await eventually(lambda: not outbox)
    assert store.stored == ["7", "8", "9"]


async def test_what_made_room_while_it_was_on_its_way_is_not_dropped() -> None:
    on_its_way, arrived = asyncio.Event(), asyncio.Event()
    stored: list[str] = []

    async def store(_subject: str, _body: bytes, event_id: str) -> Ack:
        on_its_way.set()
        await arrived.wait()
        stored.append(event_id)
        return Ack(event_id, "Sp9a-1", 1, duplicate=False)

    outbox = Outbox(store, most=2)
    outbox.keep("agent.a.status", b"{}", "0")
    await on_its_way.wait()
    for i in range(1, 5):
        outbox.keep("agent.a.status", b"{}", str(i))
    arrived.set()
    await eventually(lambda: not outbox)
    assert (stored, outbox.dropped) == (["0", "3", "4"], 2)


async def test_what_no_log_takes_is_counted_and_stops_nothing() -> None:
    store = Store()
    store.open.set()
    outbox = Outbox(store)
    for event_id in ("1", store.refused, "2"):
        outbox.keep("agent.a.status", b"{}", event_id)
    await eventually(lambda: not outbox)
    assert store.stored == ["1", "2"]
    assert outbox.dropped == 1


async def test_at_the_end_there_is_one_last_chance() -> None:
    store = Store()
    outbox = Outbox(store)
    outbox.keep("agent.a.status", b"{}", "1")
    store.open.set()
    await outbox.close()
    assert (store.stored, outbox.dropped) == (["1"], 0)


async def test_what_is_left_at_the_end_is_counted() -> None:
    outbox = Outbox(Store())
    for i in range(5):
        outbox.keep("agent.a.status", b"{}", str(i))
    await outbox.close()
    assert (len(outbox), outbox.dropped) == (0, 5)
    await outbox.close()
    assert outbox.dropped == 5
