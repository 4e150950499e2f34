"""Asks that are being worked on: whether they are still ours, and what the queue is told of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

from daena_mesh.answers import Answers
from daena_mesh.asks import Ask
from daena_mesh.connection import Connection, State
from daena_mesh.errors import MeshError
from daena_mesh.pulling import ACK_WAIT_S, Delivery, Puller

ACK, NAK, TERM = b"+ACK", b"-NAK", b"+TERM"
"""It is ended; it is returned; it is not given out any more."""

_WORKING = b"+WPI"
_NS = 1_000_000_000
_RENEW_S = 2.0
_TAKEN_AGAIN_S = 5.0
LEASE_S = ACK_WAIT_S - 1.5
"""NATS counts from when it gave the ask out, or heard of it last. Here the count begins later: an ask waits for its
turn in a busy process."""
_log = logging.getLogger(__name__)


class Job:
    """An ask at work here."""

    def __init__(self, ask: Ask, delivery: Delivery, now: float) -> None:
        """``now`` is a time of the event loop."""
        self.ask = ask
        self.delivery = delivery
        self.is_lost = False
        """The lease ran out: somebody else may have been given it."""
        self.is_answered = False
        """The handler has ended, and what it said is being stored."""
        self.is_over = False
        """Somebody else has ended it, or it was returned to the queue: the handler is cancelled."""
        self._renewed_at = now
        self._task = asyncio.current_task()

    @property
    def key(self) -> tuple[str, str]:
        """What no other ask has: its session and its message."""
        return self.ask.session_id, self.ask.message_id

    @property
    def attempt(self) -> int:
        """How often the queue has given it out."""
        return self.delivery.taken.attempt

    def is_ours(self, now: float) -> bool:
        """Whether nobody else was given it; who was frozen finds here that time has passed."""
        self.is_lost = self.is_lost or now - self._renewed_at > LEASE_S
        return not self.is_lost

    def renew(self, now: float) -> None:
        """The queue was told that it is being worked on."""
        if self.is_ours(now):
            self._renewed_at = now

    def adopt(self, delivery: Delivery, now: float) -> None:
        """The queue gave it out again, to us."""
        self.delivery, self._renewed_at, self.is_lost = delivery, now, False

    def end(self) -> None:
        """Cancel the handler, unless it has ended."""
        if self._task is not None and not self.is_answered:
            self.is_over = True
            self._task.cancel()

    def recover(self) -> None:
        """Let the task go on that `end` has cancelled."""
        if self._task is not None:
            self._task.uncancel()


class Jobs:
    """All that is at work in an agent's process, and what rests before it is tried again."""

    def __init__(self, connection: Connection, puller: Puller, answers: Answers, changed: Callable[[], None]) -> None:
        """``changed`` is called when `messages` has."""
        self._connection = connection
        self._puller = puller
        self._answers = answers
        self._changed = changed
        self._jobs: dict[tuple[str, str], Job] = {}
        self._resting: dict[str, asyncio.TimerHandle] = {}
        self._renew = asyncio.Event()

    def __iter__(self) -> Iterator[Job]:
        """What is at work."""
        return iter(tuple(self._jobs.values()))

    @property
    def messages(self) -> list[str]:
        """The messages that asked what is at work, or rests."""
        return list(dict.fromkeys([*(job.ask.message_id for job in self._jobs.values()), *self._resting]))

    @contextlib.contextmanager
    def begun(self, ask: Ask, delivery: Delivery) -> Iterator[Job | None]:
        """The job while it is worked on; None where it is at work here already."""
        now = asyncio.get_running_loop().time()
        job = Job(ask, delivery, now)
        if (same := self._jobs.get(job.key)) is not None:
            same.adopt(delivery, now)  # the lease ran out while we were cut off, and nobody else was there
            yield None
            return
        self._wake(ask.message_id)
        self._jobs[job.key] = job
        self._changed()
        try:
            yield job
        finally:
            del self._jobs[job.key]
            self._changed()

    def say(self, job: Job, word: bytes) -> bool:
        """Tell the queue; what it is not told it finds out by itself, when the lease has run out.

        What may be somebody else's by now is not returned: that would take it from them.
        """
        may = job.is_ours(asyncio.get_running_loop().time()) or not word.startswith(NAK)
        return may and self._puller.say(job.delivery, word)

    def rest(self, job: Job, delay_s: float) -> None:
        """Return it to the queue, to be given out after ``delay_s``; who looks sees that it is not forgotten."""
        message_id, loop = job.ask.message_id, asyncio.get_running_loop()
        if self.say(job, b'%b {"delay": %d}' % (NAK, delay_s * _NS)):
            self._resting[message_id] = loop.call_later(delay_s + _TAKEN_AGAIN_S, self._forget, message_id)

    def _wake(self, message_id: str) -> None:
        if (timer := self._resting.pop(message_id, None)) is not None:
            timer.cancel()

    def _forget(self, message_id: str) -> None:
        self._wake(message_id)
        self._changed()

    def give_back(self) -> None:
        """Return at once what is unfinished, and end it."""
        for job in self:
            if not job.is_answered:
                self.say(job, NAK)
                job.end()
        for message_id in tuple(self._resting):
            self._wake(message_id)

    async def keep(self) -> None:
        """For ever: renew the leases, and look what became of what could not be renewed for too long."""
        self._connection.watch(self._state_changed)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RENEW_S):
                        await self._renew.wait()
                self._renew.clear()
                await self._keep_once()
        finally:
            self._connection.unwatch(self._state_changed)

    async def _keep_once(self) -> None:
        now = asyncio.get_running_loop().time()
        for job in self:
            if self._puller.say(job.delivery, _WORKING):
                job.renew(now)
        for job in self:
            if not job.is_ours(now) and not job.is_answered:
                await self._look_after(job)

    async def _look_after(self, job: Job) -> None:
        try:
            if await self._answers.find(job.ask, job.delivery.taken.at) is not None and job.is_lost:
                _log.info("%s was ended by another", job.ask.message_id)
                job.end()
        except MeshError as error:
            _log.info("what became of %s is not known: %s", job.ask.message_id, error)

    def _state_changed(self, state: State) -> None:
        if state == "connected":
            self._renew.set()
