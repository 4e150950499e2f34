"""What is spawned is never left half spawned."""

from __future__ import annotations

import asyncio

import pytest

from daena_mesh.guardian import in_one_piece


async def test_what_is_spawned_while_one_is_cancelled_is_ended_and_not_cut_short() -> None:
    begun, going_on = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def spawn() -> str:
        begun.set()
        await going_on.wait()
        return "child"

    async def end(child: str) -> None:
        ended.append(child)

    spawning = asyncio.ensure_future(in_one_piece(spawn(), end))
    await begun.wait()
    spawning.cancel()
    going_on.set()
    with pytest.raises(asyncio.CancelledError):
        await spawning
    assert ended == ["child"]


async def test_who_waits_gets_what_was_spawned() -> None:
    async def spawn() -> str:
        return "child"

    async def end(_child: str) -> None:
        pytest.fail("nobody was cancelled")

    assert await in_one_piece(spawn(), end) == "child"
