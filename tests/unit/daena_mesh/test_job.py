from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

from daena_mesh.answers import Answers
from daena_mesh.asks import Ask
from daena_mesh.connection import Connection
from daena_mesh.job import ACK, LEASE_S, NAK, TERM, Job, Jobs
from daena_mesh.pulling import ACK_WAIT_S, Delivery, Puller, Taken
from daena_mesh.stored import Stored

ASK = Ask(session_id="s1", message_id="m1", content="?")


def delivery(attempt: int = 1) -> Delivery:
    message = Stored("ASKS", b"ask.agent.a.x", 1, 0, b"", b"", b"")
    return Delivery(message, Taken(attempt, 1, datetime.now(UTC)), f"ack.{attempt}")


class Told:
    """What the queue was told, in the place of what tells it."""

    def __init__(self) -> None:
        self.words: list[tuple[str, bytes]] = []
        self.changes = 0

    def say(self, delivery: Delivery, word: bytes) -> bool:
        self.words.append((delivery.ack_subject, word))
        return True

    def changed(self) -> None:
        self.changes += 1

    def jobs(self) -> Jobs:
        return Jobs(cast("Connection", None), cast("Puller", self), cast("Answers", None), self.changed)


def lose(job: Job) -> None:
    """Let its lease run out, as while one is frozen."""
    job._renewed_at -= ACK_WAIT_S + 1


async def test_a_lease_lasts_as_long_as_it_is_renewed() -> None:
    job = Job(ASK, delivery(), 100)
    assert job.is_ours(100 + LEASE_S)
    job.renew(100 + LEASE_S)
    assert job.is_ours(100 + 2 * LEASE_S)
    assert not job.is_ours(100 + 2 * LEASE_S + 0.1)
    job.renew(100 + 2 * LEASE_S)
    assert not job.is_ours(100 + 2 * LEASE_S)  # what was lost may be another's
    job.adopt(delivery(2), 200)
    assert job.is_ours(200)
    assert job.attempt == 2


async def test_an_ask_that_waited_for_its_turn_is_not_kept_for_longer_than_the_queue_lets_one() -> None:
    given_out_at, begun_at = 100, 101
    job = Job(ASK, delivery(), begun_at)
    assert not job.is_ours(given_out_at + ACK_WAIT_S)


async def test_what_may_be_another_s_is_not_returned() -> None:
    told = Told()
    jobs = told.jobs()
    with jobs.begun(ASK, delivery()) as job:
        assert job is not None
        assert jobs.say(job, NAK)
        lose(job)
        assert not jobs.say(job, NAK)
        jobs.rest(job, 1)
        jobs.say(job, TERM)
        jobs.say(job, ACK)
    assert told.words == [("ack.1", NAK), ("ack.1", TERM), ("ack.1", ACK)]
    assert jobs.messages == []


async def test_what_is_begun_or_rests_is_told() -> None:
    told = Told()
    jobs = told.jobs()
    assert jobs.messages == []
    with jobs.begun(ASK, delivery()) as job:
        assert job is not None
        assert (jobs.messages, told.changes) == (["m1"], 1)
        jobs.rest(job, 4)
    assert (jobs.messages, told.changes) == (["m1"], 2)
    assert told.words == [("ack.1", b'-NAK {"delay": 4000000000}')]
    with jobs.begun(ASK, delivery(2)):
        assert jobs.messages == ["m1"]
    assert (jobs.messages, told.changes) == ([], 4)


async def test_what_comes_again_while_it_is_at_work_is_adopted() -> None:
    told = Told()
    jobs = told.jobs()
    with jobs.begun(ASK, delivery()) as job:
        assert job is not None
        lose(job)
        assert not jobs.say(job, NAK)
        with jobs.begun(ASK, delivery(2)) as again:
            assert again is None
        assert list(jobs) == [job]
        assert jobs.say(job, NAK)
    assert told.words == [("ack.2", NAK)]


async def test_who_leaves_returns_what_is_unfinished_and_no_more() -> None:
    told = Told()
    jobs = told.jobs()
    begun = asyncio.Event()
    ended: list[str] = []

    async def work(message_id: str, *, is_answered: bool) -> None:
        with jobs.begun(Ask(session_id="s1", message_id=message_id, content="?"), delivery()) as job:
            assert job is not None
            job.is_answered = is_answered
            try:
                await begun.wait()
            except asyncio.CancelledError:
                assert job.is_over
                job.recover()
                ended.append(message_id)

    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(work("m1", is_answered=False)),
        asyncio.create_task(work("m2", is_answered=True)),
    ]
    await asyncio.sleep(0)
    jobs.give_back()
    await asyncio.sleep(0)
    assert ended == ["m1"]
    assert told.words == [("ack.1", NAK)]
    begun.set()
    await asyncio.gather(*tasks)
    assert [task.cancelled() for task in tasks] == [False, False]
