"""Whose token has expired is closed then, and nobody else."""

from __future__ import annotations

import asyncio
import math
from typing import Any, cast

import pytest

from mesh_edge.closing import Closing
from mesh_edge.expiry import Expiry
from mesh_edge.link import Link, Visitor
from tests.support.deadlines import eventually

pytestmark = pytest.mark.promise("P-TOKEN-6")


class Someone:
    """As much of a link as is asked."""

    def __init__(self, until: float) -> None:
        self.visitor = Visitor(until=until)
        self.closed: list[int] = []

    def close(self, why: Closing) -> None:
        self.closed.append(why.code)


class Clock:
    """The time of day, and an expiry that goes by it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.25
        patch.setattr("mesh_edge.expiry.time.time", lambda: self.now)
        self.expiry: Any = Expiry()

    def someone(self, until: float) -> Someone:
        one = Someone(until)
        self.expiry.add(cast("Link", one))
        return one

    def tick(self, now: float) -> None:
        self.now = now
        self.expiry._tick()


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def test_each_is_closed_at_the_first_second_that_is_not_before_the_end(clock: Clock) -> None:
    first, second, never = clock.someone(1_002), clock.someone(1_002.5), clock.someone(math.inf)
    clock.tick(1_001)
    assert (first.closed, second.closed) == ([], [])
    clock.tick(1_002)
    assert (first.closed, second.closed) == ([4401], [])
    clock.tick(1_003)
    assert (first.closed, second.closed, never.closed) == ([4401], [4401], [])
    assert clock.expiry._timer is None
    clock.expiry.stop()


async def test_who_left_or_came_with_another_token_is_left_alone(clock: Clock) -> None:
    gone, renewed = clock.someone(1_002), clock.someone(1_002)
    for one in (gone, renewed):
        clock.expiry.discard(cast("Link", one))
    assert not clock.expiry._due
    renewed.visitor = Visitor(until=1_009)
    clock.expiry.add(cast("Link", renewed))
    clock.tick(1_005)
    assert (gone.closed, renewed.closed) == ([], [])
    clock.tick(1_009)
    assert (gone.closed, renewed.closed) == ([], [4401])


async def test_who_is_late_already_is_closed_at_the_next_second(clock: Clock) -> None:
    other, late = clock.someone(2_000), clock.someone(900)
    clock.tick(1_001)
    assert (other.closed, late.closed) == ([], [4401])
    clock.expiry.stop()


async def test_a_machine_that_slept_and_a_clock_that_was_set_back(clock: Clock) -> None:
    slept, after = clock.someone(1_500), clock.someone(2_000_000)
    clock.tick(1_000_000)
    assert slept.closed == [4401]
    clock.tick(1_001)
    one = clock.someone(1_005)
    clock.tick(1_005)
    assert (one.closed, after.closed) == ([4401], [])
    clock.expiry.stop()


async def test_thousands_at_once_take_turns(clock: Clock) -> None:
    crowd = [clock.someone(1_002) for _ in range(1_000)]
    clock.tick(1_002)
    assert 0 < sum(len(one.closed) for one in crowd) < 500
    await asyncio.sleep(0)
    await eventually(lambda: all(one.closed == [4401] for one in crowd))
