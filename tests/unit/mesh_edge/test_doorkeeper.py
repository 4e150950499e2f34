"""Who is held up at a session's topic, and for how many questions."""

from __future__ import annotations

import asyncio

from daena_mesh.sessions import SessionState
from mesh_edge import closing
from mesh_edge.belonging import Belonging
from mesh_edge.closing import Closing
from mesh_edge.doorkeeper import Doorkeeper
from mesh_edge.gate import UNSURE
from mesh_edge.lobby import Lobby
from tests.unit.mesh_edge.test_belonging import state


class House:
    """A topic, as much of it as a doorkeeper looks at, and its lobby."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.belonging = Belonging()
        self.is_degraded = False
        self.asks = 0
        self.went: list[str] = []
        self.keeper = Doorkeeper(self)
        self.lobby = Lobby(late=lambda: None, emptied=lambda: None, keeper=self.keeper)
        self.guests: dict[str, Guest] = {}
        if is_open:
            self.answer("ada")
            self.lobby.open()

    def refusal(self, user: str | None) -> Closing | None:
        if self.is_degraded:
            return UNSURE
        return None if self.belonging.includes(user) else closing.FORBIDDEN

    def ask(self) -> None:
        self.asks += 1

    def answer(self, *members: str, question: int | None = None) -> bool:
        """Have the leader say to whom it belongs; gives whether it has to be asked again."""
        belonging = self.belonging
        said: SessionState = state(belonging.asked + 2, *members)
        belonging.answer(belonging.ask() if question is None else question, said)
        return self.keeper.release()

    def knock(self, user: str) -> bool:
        """Whether somebody who comes need not wait."""
        guest = self.guests[user] = Guest(self, user)
        return self.lobby.admit(guest.go, user)

    def was_asked_for(self, user: str) -> bool:
        return self.keeper.was_asked_for(self.guests[user].go)


class Guest:
    """Notes that it may go in."""

    def __init__(self, house: House, user: str) -> None:
        self.house = house
        self.user = user

    def go(self) -> None:
        self.house.went.append(self.user)


async def test_who_is_known_passes_and_nobody_is_asked() -> None:
    house = House()
    assert house.knock("ada")
    assert house.asks == 0
    assert not house.was_asked_for("ada")


async def test_who_is_not_known_is_held_until_a_question_ends_that_was_put_after_they_came() -> None:
    house = House()
    before = house.belonging.ask()
    assert not house.knock("eve")
    assert house.asks == 1
    assert house.answer("ada", question=before)  # it may have been answered before whoever came was added
    await asyncio.sleep(0)
    assert house.went == []
    assert not house.was_asked_for("eve")
    assert not house.answer("ada")
    await asyncio.sleep(0)
    assert house.went == ["eve"]
    assert house.was_asked_for("eve")


async def test_who_was_added_passes_by_any_answer_that_says_so_and_others_wait_on() -> None:
    house = House()
    before = house.belonging.ask()
    assert not any([house.knock("bob"), house.knock("eve")])
    assert house.answer("ada", "bob", question=before)
    await asyncio.sleep(0)
    assert house.went == ["bob"]
    house.lobby.leave(house.guests["eve"].go)
    assert not house.keeper.release()
    assert not house.was_asked_for("eve")


async def test_a_question_without_an_answer_holds_nobody_up_and_decides_nothing() -> None:
    house = House()
    assert not house.knock("eve")
    house.belonging.fail(house.belonging.ask())
    assert not house.keeper.release()
    await asyncio.sleep(0)
    assert house.went == ["eve"]
    assert not house.was_asked_for("eve")
    assert not house.knock("mallory")  # the next one is asked for
    assert house.asks == 2


async def test_where_nothing_can_be_known_nobody_is_held() -> None:
    house = House()
    assert not house.knock("eve")
    house.is_degraded = True
    assert house.knock("mallory")
    assert not house.keeper.release()
    await asyncio.sleep(0)
    assert house.went == ["eve"]
    assert not house.was_asked_for("eve")


async def test_who_comes_while_the_first_question_is_answered_waits_for_the_second_if_need_be() -> None:
    house = House(is_open=False)
    assert not house.knock("early")
    question = house.belonging.ask()
    assert not any([house.knock("ada"), house.knock("late")])
    house.answer("ada", question=question)
    assert house.asks == 0
    house.lobby.open()
    await asyncio.sleep(0)
    assert house.went == ["early", "ada"]
    assert house.asks == 1
    assert [house.was_asked_for(user) for user in ("early", "late")] == [True, False]
    assert not house.answer("ada")
    await asyncio.sleep(0)
    assert house.went == ["early", "ada", "late"]


async def test_who_has_left_is_not_remembered() -> None:
    house = House()
    for user in ("ada", "eve"):
        house.knock(user)
        house.lobby.leave(house.guests[user].go)
    assert not house.keeper._knocks
    assert not house.keeper._held
    assert house.lobby.is_empty
    assert not house.was_asked_for("ada")
