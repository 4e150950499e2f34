from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from daena_mesh.errors import MeshUnavailable
from daena_mesh.rounds import make_rounds


async def test_no_failure_ends_the_rounds_and_who_saw_nothing_is_blind(caplog: pytest.LogCaptureFixture) -> None:
    connection: Any = SimpleNamespace(state="connected")
    seen: list[str] = []
    done = asyncio.Event()

    async def look() -> None:
        seen.append(f"look {len(seen)}")
        match len(seen):
            case 1:
                return
            case 2:
                raise MeshUnavailable("no leader")
            case 4:
                connection.state = "degraded"
                raise KeyError("odd")
            case _:
                pytest.fail("nobody is there to be asked")

    def blind() -> None:
        seen.append("blind")
        if len(seen) == 6:
            done.set()

    caplog.set_level(logging.INFO)
    log = logging.getLogger("test")
    rounds = asyncio.create_task(
        make_rounds(look, every_s=0, connection=connection, blind=blind, doing="counting sheep", log=log)
    )
    async with asyncio.timeout(5):
        await done.wait()
    rounds.cancel()
    assert seen == ["look 0", "look 1", "blind", "look 3", "blind", "blind"]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "counting sheep waits: no leader"),
        ("ERROR", "counting sheep failed"),
    ]
