"""Who waits for a topic: let in together, counted until they have left, and never for long."""

from __future__ import annotations

import asyncio

import pytest

from mesh_edge import lobby as lobby_module
from mesh_edge.lobby import Lobby
from tests.support.deadlines import within


class Guest:
    """Notes that it may go in."""

    def __init__(self) -> None:
        self.calls = 0

    def go(self) -> None:
        self.calls += 1


class House:
    """A topic with a lobby, as much of it as a lobby looks at."""

    def __init__(self) -> None:
        self.late = asyncio.Event()
        self.emptied = 0
        self.lobby = Lobby(late=self.late.set, emptied=self._note)

    def _note(self) -> None:
        self.emptied += 1


async def test_who_waits_goes_in_once_it_opens_and_who_comes_later_at_once() -> None:
    house, early, late = House(), Guest(), Guest()
    house.lobby.enter(early.go)
    await asyncio.sleep(0)
    assert early.calls == 0
    house.lobby.open()
    house.lobby.open()
    house.lobby.enter(late.go)
    await asyncio.sleep(0)
    assert (early.calls, late.calls) == (1, 1)


async def test_a_guest_counts_until_it_leaves() -> None:
    house, first, second = House(), Guest(), Guest()
    house.lobby.enter(first.go)
    house.lobby.enter(second.go)
    house.lobby.leave(first.go)
    house.lobby.leave(first.go)
    house.lobby.open()
    assert house.emptied == 0
    house.lobby.leave(second.go)
    assert house.lobby.is_empty
    assert house.emptied == 1
    await asyncio.sleep(0)
    assert first.calls == 0


async def test_it_is_late_once_for_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lobby_module, "OPENS_WITHIN_S", 0.01)
    house = House()
    for guest in [Guest() for _ in range(3)]:
        house.lobby.enter(guest.go)
    async with within():
        await house.late.wait()


async def test_it_is_not_late_when_it_opened_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lobby_module, "OPENS_WITHIN_S", 0.0)
    house = House()
    house.lobby.enter(Guest().go)
    house.lobby.open()
    house.lobby.enter(Guest().go)
    await asyncio.sleep(0.01)
    assert not house.late.is_set()


async def test_who_waits_in_a_block_is_a_guest_for_as_long_as_that() -> None:
    house = House()

    async def visit() -> None:
        async with house.lobby.wait():
            assert not house.lobby.is_empty

    visits = [asyncio.create_task(visit()) for _ in range(2)]
    await asyncio.sleep(0)
    visits[0].cancel()
    await asyncio.sleep(0)
    house.lobby.open()
    async with within():
        await visits[1]
    assert house.lobby.is_empty
    assert house.emptied == 1
