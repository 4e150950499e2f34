from __future__ import annotations

import asyncio
import time

from daena_mesh.histogram import Histogram
from daena_mesh.loop_lag import watch_loop
from tests.support.deadlines import eventually


def test_a_bound_counts_what_is_not_above_it() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 3.0, -1.0):
        histogram.note(seconds)
    assert histogram.buckets() == [("0.1", 3), ("1.0", 4), ("+Inf", 5)]
    assert (histogram.count, round(histogram.total_s, 3)) == (5, 3.65)


async def test_a_loop_that_is_blocked_is_late() -> None:
    lag = Histogram()
    watching = asyncio.create_task(watch_loop(lag, pause_s=0.01))
    try:
        await eventually(lambda: lag.count)
        time.sleep(0.2)  # noqa: ASYNC251 - this is what it is to find
        blocked = lag.count
        await eventually(lambda: lag.count > blocked)
    finally:
        watching.cancel()
    assert lag.total_s > 0.1
