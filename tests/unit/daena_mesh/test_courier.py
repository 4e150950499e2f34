from __future__ import annotations

import asyncio

from daena_mesh.courier import Courier
from tests.support.deadlines import eventually, within


class Log:
    """Where items are carried to: at once, or when it is told."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.open = asyncio.Event()
        self.open.set()

    async def has(self, items: list[int]) -> None:
        """Wait until this and nothing else has come."""
        await eventually(lambda: self.items == items)

    async def __call__(self, item: int) -> None:
        await self.open.wait()
        self.items.append(item)


def courier(log: Log, *, per_s: float = 1_000.0, is_open: bool = True) -> tuple[Courier[int], asyncio.Event]:
    gate = asyncio.Event()
    if is_open:
        gate.set()
    return Courier(log, per_s=per_s, gate=gate), gate


async def test_what_is_offered_is_carried() -> None:
    log = Log()
    carrying, _ = courier(log)
    for number in range(3):
        carrying.offer(number)
        await log.has([*range(number + 1)])
    assert carrying.coalesced == 0
    assert await carrying.finish(1)


async def test_of_a_burst_the_newest_is_carried_and_no_two_at_once() -> None:
    log = Log()
    log.open.clear()
    carrying, _ = courier(log)
    carrying.offer(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for number in range(1, 1_000):
        carrying.offer(number)
    log.open.set()
    await eventually(lambda: len(log.items) == 2)
    assert (log.items, carrying.coalesced) == ([0, 999], 998)


async def test_while_the_gate_is_closed_only_the_newest_waits() -> None:
    log = Log()
    carrying, gate = courier(log, is_open=False)
    for number in range(10):
        carrying.offer(number)
        await asyncio.sleep(0)
    assert log.items == []
    gate.set()
    await eventually(lambda: log.items == [9])
    assert carrying.coalesced == 9


async def test_the_last_is_carried_at_the_end_whatever_rate_and_gate_say() -> None:
    for is_open in (True, False):
        log = Log()
        carrying, _ = courier(log, per_s=0.001, is_open=is_open)
        carrying.offer(1)
        if is_open:
            await log.has([1])
            carrying.offer(2)
        else:
            await asyncio.sleep(0)
        async with within():
            assert await carrying.finish(10)
        assert log.items == ([1, 2] if is_open else [1])
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_the_end_does_not_wait_for_longer_than_it_is_told() -> None:
    log = Log()
    log.open.clear()
    carrying, _ = courier(log)
    assert await carrying.finish(0.01)
    carrying.when_done(lambda: log.items.append(-1))
    carrying.offer(1)
    assert not await carrying.finish(0.01)
    carrying.when_done(lambda: log.items.append(-2))
    log.open.set()
    await eventually(lambda: log.items == [-1, 1, -2])


async def test_who_is_stopped_carries_no_more() -> None:
    log = Log()
    carrying, gate = courier(log, is_open=False)
    carrying.stop()
    carrying.offer(1)
    await asyncio.sleep(0)
    carrying.stop()
    gate.set()
    await eventually(lambda: len(asyncio.all_tasks()) == 1)
    assert log.items == []
