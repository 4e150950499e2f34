"""Running a command's coroutine: on uvloop where it exists, with as many open files as the system allows."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import resource
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


def run(work: Coroutine[None, None, T]) -> T:
    """Run ``work`` to its end and return its result."""
    allow_many_sockets()
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.run(work)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def allow_many_sockets() -> None:
    """Raise the soft limit of open files to the hard one: each browser is one."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses its own "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
