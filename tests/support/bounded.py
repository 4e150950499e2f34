"""A long test that waits for ever is told where: it is cancelled shortly before pytest-timeout ends everything."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any

import pytest

_PART = 0.9
"""Of its time, the setup of its fixtures included, that a test has for itself."""


def bound(item: pytest.Item) -> None:
    """Have a coroutine with a time of its own raise TimeoutError where it waits; some others set the clock."""
    marker = item.get_closest_marker("timeout")
    if marker is None or not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(test := item.obj):
        return
    if hasattr(test, "hypothesis"):  # its body is called for each example, and not as the item's object
        return
    limit = float(marker.args[0]) * _PART

    @functools.wraps(test)
    async def bounded(*arguments: Any, **fixtures: Any) -> None:
        async with asyncio.timeout(limit):
            await test(*arguments, **fixtures)

    item.obj = bounded
