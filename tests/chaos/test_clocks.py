"""A clock that is stepped: of Python, which asks the C library, and of a nats-server, which asks the kernel itself."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import httpx
import pytest

from daena_mesh.embedded import NatsServer
from tests.chaos.clocks import can_step_clocks, step

pytestmark = pytest.mark.skipif(not can_step_clocks(), reason="clocks are stepped on Linux and x86-64 alone")

_TELLS = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"
_NEAR_S = 300


async def is_stepped(pid: int, ahead_s: Callable[[], Awaitable[float]]) -> None:
    """Step a clock forward, back and right again."""
    for seconds in (0, 3_600, -3_600, 0):
        step(pid, seconds)
        assert abs(await ahead_s() - seconds) < _NEAR_S


async def test_the_clock_of_a_python_process_is_stepped() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _TELLS, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    told, asked = process.stdout, process.stdin

    async def ahead_s() -> float:
        asked.write(b"\n")
        now, monotonic = map(float, (await told.readline()).split())
        assert abs(monotonic - time.monotonic()) < _NEAR_S, "other clocks stay as they are"
        return now - time.time()

    try:
        await is_stepped(process.pid, ahead_s)
    finally:
        process.kill()
        await process.wait()


async def test_the_clock_of_a_nats_server_is_stepped(nats_server: NatsServer) -> None:
    async with httpx.AsyncClient() as http:

        async def ahead_s() -> float:
            varz = (await http.get(f"{nats_server.monitoring_url}/varz")).json()
            return datetime.fromisoformat(varz["now"]).timestamp() - time.time()

        await is_stepped(nats_server.pid, ahead_s)


def test_a_process_that_is_gone_is_said() -> None:
    with pytest.raises(FileNotFoundError):
        step(2**22 + 1, 0)
