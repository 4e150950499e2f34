"""Waiting for what has to happen, under a deadline, instead of sleeping for as long as it usually takes."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

WITHIN_S = 30.0
_POLL_S = 0.01


def within(seconds: float = WITHIN_S) -> asyncio.Timeout:
    """Bound a block of awaits (as in ``async with``); TimeoutError when it takes longer."""
    return asyncio.timeout(seconds)


@overload
async def eventually(check: Callable[[], Awaitable[T]], *, within_s: float = WITHIN_S) -> T: ...


@overload
async def eventually(check: Callable[[], T], *, within_s: float = WITHIN_S) -> T: ...


async def eventually(check: Callable[[], T | Awaitable[T]], *, within_s: float = WITHIN_S) -> T:
    """Call ``check`` until it returns something true, and return that.

    Raises:
        AssertionError: it never did within ``within_s``; the message names its last answer.
    """
    deadline = time.monotonic() + within_s
    while True:
        failed: AssertionError | None = None
        answer: T | None = None
        try:
            found = check()
            answer = await found if inspect.isawaitable(found) else found
        except AssertionError as error:
            failed = error
        if answer:
            return answer
        if time.monotonic() > deadline:
            if failed is not None:
                raise failed
            raise AssertionError(f"not within {within_s} s: the last answer was {answer!r}")
        await asyncio.sleep(_POLL_S)


def eventually_sync(check: Callable[[], T], *, within_s: float = WITHIN_S) -> T:
    """Do what :func:`eventually` does, for tests without an event loop."""
    deadline = time.monotonic() + within_s
    while not (answer := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: the last answer was {answer!r}")
        time.sleep(_POLL_S)
    return answer
