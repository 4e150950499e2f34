"""Those who come in thousands take turns with everything else."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from itertools import pairwise

import pytest

from mesh_edge import turnstile
from mesh_edge.turnstile import Turnstile, turnstile_of
from tests.support.deadlines import eventually


async def test_everybody_has_a_turn_in_order_and_the_loop_has_its_own_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "TURN_S", 0.001)
    gate, passed, others = Turnstile(), list[int](), list[int]()

    def slow(number: int) -> None:
        passed.append(number)
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass

    def other() -> None:
        others.append(len(passed))
        if len(passed) < 100:
            asyncio.get_running_loop().call_soon(other)

    for number in range(100):
        gate.line_up(partial(slow, number))
    other()
    await eventually(lambda: len(passed) == 100 and others[-1] == 100)
    assert passed == list(range(100))
    assert max(after - before for before, after in pairwise(others)) <= 4


async def test_who_comes_while_others_pass_stands_behind_them() -> None:
    gate, passed = Turnstile(), list[str]()

    def first() -> None:
        passed.append("first")
        gate.line_up(lambda: passed.append("third"))

    gate.line_up(first)
    gate.line_up(lambda: passed.append("second"))
    assert passed == []
    await eventually(lambda: len(passed) == 3)
    assert passed == ["first", "second", "third"]


async def test_who_comes_close_behind_others_waits_for_company_and_who_comes_alone_does_not() -> None:
    gate, passed, loop = Turnstile(), list[float](), asyncio.get_running_loop()

    def go() -> None:
        passed.append(loop.time())

    gate.line_up(go)
    await asyncio.sleep(0)
    assert len(passed) == 1
    for _ in range(3):
        gate.line_up(go)
    await eventually(lambda: len(passed) == 4)
    assert passed[1] - passed[0] > turnstile.REST_S / 2  # timers of loops are coarse
    await eventually(lambda: loop.time() > passed[3] + 2 * turnstile.REST_S)
    gate.line_up(go)
    await asyncio.sleep(0)
    assert len(passed) == 5


async def test_one_who_stumbles_holds_up_nobody() -> None:
    gate, passed, told = Turnstile(), list[int](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    stumbles = [ValueError("one"), ValueError("two")]

    def stumble() -> None:
        raise stumbles[len(told)]

    for go in (stumble, lambda: passed.append(1), stumble, lambda: passed.append(2)):
        gate.line_up(go)
    await eventually(lambda: passed == [1, 2])
    assert told == stumbles
    gate.line_up(lambda: passed.append(3))
    await eventually(lambda: passed == [1, 2, 3])


async def test_who_goes_on_in_the_next_turn_of_the_loop_is_alone_there() -> None:
    gate, done, loop = Turnstile(), list[str](), asyncio.get_running_loop()

    def begin(name: str) -> bool:
        loop.call_soon(done.append, name)
        return True

    for name in "abc":
        gate.line_up(partial(begin, name))
        gate.line_up(lambda: done.append("-"))
    await eventually(lambda: len(done) == 6)
    assert done == ["a", "-", "b", "-", "c", "-"]


async def test_tasks_have_their_turn_one_by_one() -> None:
    gate, turns, loop = Turnstile(), list[int](), asyncio.get_running_loop()
    told = list[object]()
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    number = 0

    def next_turn() -> None:
        nonlocal number
        number += 1
        if len(turns) < 9:
            loop.call_soon(next_turn)

    async def work() -> None:
        await gate.turn()
        turns.append(number)

    tasks = [asyncio.create_task(work()) for _ in range(10)]
    await asyncio.sleep(0)
    tasks[4].cancel()
    next_turn()
    await eventually(lambda: len(turns) == 9)
    assert len(set(turns)) == 9
    with pytest.raises(asyncio.CancelledError):
        await tasks[4]
    await asyncio.gather(*tasks[:4], *tasks[5:])
    assert told == []


async def test_there_is_one_line_for_each_loop() -> None:
    loop, other = asyncio.get_running_loop(), asyncio.new_event_loop()
    assert turnstile_of(loop) is turnstile_of(loop) is not turnstile_of(other)
    other.close()
