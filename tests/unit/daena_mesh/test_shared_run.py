from __future__ import annotations

import asyncio

import pytest

from daena_mesh.shared_run import SharedRun


class Question:
    """Counts its runs, and waits in each until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.go_on.wait()
        return number


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_many_who_ask_at_once_share_a_run() -> None:
    question = Question()
    question.go_on.set()
    run = SharedRun(question)
    assert await asyncio.gather(*(run.ask() for _ in range(100))) == [1] * 100


async def test_an_answer_is_never_from_before_the_question() -> None:
    question = Question()
    run = SharedRun(question)
    first = asyncio.create_task(run.ask())
    await turn()
    assert question.begun == 1
    late = [asyncio.create_task(run.ask()) for _ in range(10)]
    await turn()
    assert question.begun == 1, "the next run begins when this one has ended"
    question.go_on.set()
    assert await first == 1
    assert await asyncio.gather(*late) == [2] * 10


async def test_an_error_reaches_all_who_asked_and_nobody_else() -> None:
    failing = True

    async def question() -> str:
        if failing:
            raise ValueError("no")
        return "yes"

    run = SharedRun(question)
    answers = await asyncio.gather(*(run.ask() for _ in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["no"] * 3
    failing = False
    assert await run.ask() == "yes"


async def test_who_stops_waiting_does_not_end_it_for_others() -> None:
    question = Question()
    run = SharedRun(question)
    gone, here = asyncio.create_task(run.ask()), asyncio.create_task(run.ask())
    await turn()
    gone.cancel()
    question.go_on.set()
    assert await here == 1
    with pytest.raises(asyncio.CancelledError):
        await gone
