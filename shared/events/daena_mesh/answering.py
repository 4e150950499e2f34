"""Answering: workers take asks from the queue, keep them while they work, and give back what they cannot answer.

One ask is answered by whoever of those who serve its target takes it. It stays theirs while its lease is renewed;
where they die, are frozen or cut off, the queue gives it to another. Whatever happens, one message ends it (`answers`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from daena_mesh.answers import Answers, answer_id, is_old
from daena_mesh.asks import Ask, Target, read_ask
from daena_mesh.connection import State
from daena_mesh.errors import InvalidEvent, MeshError, MeshUnavailable
from daena_mesh.job import Job
from daena_mesh.micro import Figures
from daena_mesh.pulling import ACK_WAIT_S, MAX_DELIVER, Delivery, Puller, next_turn
from daena_mesh.stream_writer import StreamWriter

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh

Handler = Callable[[Ask, StreamWriter], Awaitable[str | None]]
"""Answers an ask: it writes, or returns the text, or both."""

BACK_OFF_S = (1.0, 4.0)
"""How long an ask rests after the first and the second attempt that failed."""

_ACK, _NAK, _TERM, _WORKING = b"+ACK", b"-NAK", b"+TERM", b"+WPI"
_NS = 1_000_000_000
_RENEW_S = 3.0
_WAIT_S = 5.0
_SHORT_WAIT_S = 1.0
_PAUSE_S = 0.3
_LAST_S = 5.0
_LAST_AWAY_S = 0.5
_MOST_REASON = 200
_log = logging.getLogger(__name__)


class _Served(NamedTuple):
    target: Target
    handler: Handler
    sender: str


class Answering:
    """The asks of one agent process."""

    def __init__(
        self,
        mesh: Mesh,
        *,
        name: str,
        concurrency: int,
        changed: Callable[[], None],
        figures: Figures | None = None,
    ) -> None:
        """``name`` is the agent's.

        At most ``concurrency`` asks are at work at a time. ``changed`` is called when `serves` or `at_work` has.
        """
        self.figures = figures or Figures()
        self._mesh = mesh
        self._name = name
        self._concurrency = concurrency
        self._changed = changed
        self._answers = Answers(mesh, author=name)
        self._served: dict[str, _Served] = {}
        self._jobs: dict[tuple[str, str], Job] = {}
        self._resting: dict[str, asyncio.TimerHandle] = {}
        self._waiting: Counter[str] = Counter()
        self._engaged: Counter[str] = Counter()
        self._turns: dict[str, int] = {}
        self._turn = itertools.count(1)
        self._puller: Puller | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._keeper: asyncio.Task[None] | None = None
        self._is_started = False
        self._closing = asyncio.Event()
        self._renew = asyncio.Event()

    # -- what the agent tells of it -----------------------------------------------------------------------------

    @property
    def serves(self) -> list[str]:
        """Whose asks are taken, such as ``agent/scout``."""
        return [str(served.target) for served in self._served.values()]

    @property
    def at_work(self) -> list[str]:
        """The messages that asked what is at work here, or rests before it is tried again."""
        return list(dict.fromkeys([*(message_id for _, message_id in self._jobs), *self._resting]))

    @property
    def is_busy(self) -> bool:
        """Whether something is at work here."""
        return bool(self._jobs)

    # -- life ---------------------------------------------------------------------------------------------------

    def serve(self, target: Target, handler: Handler, sender: str | None = None) -> None:
        """Have ``handler`` answer what ``target`` is asked, as ``sender``; from `start` on."""
        self._served[target.consumer] = _Served(target, handler, sender or self._name)
        if self._is_started:
            self.start()
        self._changed()

    def start(self) -> None:
        """Take asks, as soon as there is somebody to answer them."""
        self._is_started = True
        if self._served and self._puller is None and not self._closing.is_set():
            connection = self._mesh.connection
            self._puller = puller = Puller(connection)
            connection.watch(self._state_changed)
            self._keeper = asyncio.create_task(self._keep(puller), name="leases of asks")
            self._tasks = [
                asyncio.create_task(self._work(puller), name=f"answering {number}")
                for number in range(self._concurrency)
            ]

    async def close(self) -> None:
        """Take no more, and return at once what is unfinished, so that another can take it."""
        self._closing.set()
        for timer in self._resting.values():
            timer.cancel()
        self._resting.clear()
        if self._puller is None:
            return
        await self._puller.close()  # first, or what is returned may come here again, and that would count as an attempt
        for job in tuple(self._jobs.values()):
            if not job.is_answered:
                self._say(job, _NAK)
                job.end()
        within_s = _LAST_S if self._mesh.connection.is_connected else _LAST_AWAY_S
        await asyncio.wait(self._tasks, timeout=within_s)
        self._mesh.connection.unwatch(self._state_changed)
        for task in (*self._tasks, *([self._keeper] if self._keeper else ())):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, puller: Puller) -> None:
        """One worker: for ever take an ask and answer it."""
        while not self._closing.is_set():
            name = next_turn({name: self._waiting[name] for name in self._served}, self._engaged, self._turns)
            self._turns[name] = next(self._turn)
            self._engaged[name] += 1
            try:
                delivery = await self._pull(puller, name)
                if delivery is not None:
                    await self._take(self._served[name], delivery)
            except MeshUnavailable:
                await self._pause()
            except Exception:  # noqa: BLE001 - or this worker would take nothing any more
                _log.exception("an ask could not be taken")
                await self._pause()
            finally:
                self._engaged[name] -= 1

    async def _pull(self, puller: Puller, name: str) -> Delivery | None:
        wait_s = _WAIT_S if self._concurrency >= len(self._served) else _SHORT_WAIT_S
        await self._mesh.connection.wait_ready(_WAIT_S)
        if self._closing.is_set():
            return None
        self._waiting[name] += 1
        try:
            return await puller.pull(name, wait_s)
        finally:
            self._waiting[name] -= 1

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(0.1, 1) * _PAUSE_S):
                await self._closing.wait()

    # -- one ask ------------------------------------------------------------------------------------------------

    async def _take(self, served: _Served, delivery: Delivery) -> None:
        message, now = delivery.message, asyncio.get_running_loop().time()
        msg_id = message.msg_id.decode() if message.msg_id else None
        try:
            ask = read_ask(
                message.subject.decode(),
                message.body,
                seq=message.seq,
                msg_id=msg_id,
                attempt=delivery.taken.attempt,
            )
        except (InvalidEvent, UnicodeDecodeError) as error:
            _log.warning("%s", error)
            if self._puller is not None:
                self._puller.say(delivery, _TERM)
            return
        key = ask.session_id, ask.message_id
        if (job := self._jobs.get(key)) is not None:
            job.adopt(delivery, now)  # the lease ran out while we were cut off, and nobody else was there
            return
        if (timer := self._resting.pop(ask.message_id, None)) is not None:
            timer.cancel()
        job = self._jobs[key] = Job(ask, delivery, now)
        self._changed()
        try:
            await self._answer(job, served)
        finally:
            del self._jobs[key]
            self._changed()

    async def _answer(self, job: Job, served: _Served) -> None:
        began, failure = time.perf_counter(), ""
        try:
            if job.ask.attempt == 1 or not await self._is_ended(job):
                await self._run(job, served)
            self._say(job, _ACK)
        except asyncio.CancelledError:
            if not job.is_over:
                self._say(job, _NAK)
                raise
            if job.task is not None:
                job.task.uncancel()
        except Exception as error:  # noqa: BLE001 - whatever an agent's handler raises
            failure = _reason(error)
            await self._failed(job, error)
        finally:
            self.figures.note(time.perf_counter() - began, failure)

    async def _run(self, job: Job, served: _Served) -> None:
        ask = job.ask
        out = self._mesh.chat(ask.session_id, author=self._name).stream(
            served.sender, message_id=answer_id(ask.session_id, ask.message_id), in_reply_to=ask.message_id
        )
        try:
            async with out:
                try:
                    said = await served.handler(ask, out)
                    if isinstance(said, str):
                        await out.write(said)
                    if is_old(job.delivery.taken.at) and await self._is_ended(job):
                        out.abandon()
                except BaseException:
                    if not out.is_stopped and not out.is_cut:
                        out.abandon()  # whoever tries next writes the message
                    raise
                finally:
                    job.is_answered = True
        except MeshError as error:
            if out.ack is None:
                raise
            _log.warning("chat %s: the answer to %s is cut: %s", ask.session_id, ask.message_id, error)

    async def _is_ended(self, job: Job) -> bool:
        """Whether the log has the message that ends it; waits for the log, for as long as it is away."""
        while True:
            try:
                return await self._answers.find(job.ask, job.delivery.taken.at) is not None
            except MeshUnavailable:
                await asyncio.sleep(_PAUSE_S)

    async def _failed(self, job: Job, error: Exception) -> None:
        ask = job.ask
        _log.warning("attempt %d to answer %s failed", ask.attempt, ask.message_id, exc_info=error)
        if ask.attempt >= MAX_DELIVER:
            text = f"There is no answer: {ask.attempt} attempts to give one have failed."
            try:
                await self._answers.end(ask, job.delivery.taken.at, text, {"given_up": True, "reason": _reason(error)})
            except MeshError as failure:
                _log.warning("%s is left to the API: %s", ask.message_id, failure)
            else:
                self._say(job, _TERM)
        elif job.is_ours and not self._closing.is_set():
            delay_s = BACK_OFF_S[ask.attempt - 1]
            self._say(job, b'%b {"delay": %d}' % (_NAK, delay_s * _NS))
            self._resting[ask.message_id] = asyncio.get_running_loop().call_later(
                delay_s + _WAIT_S, self._rested, ask.message_id
            )

    def _rested(self, message_id: str) -> None:
        self._resting.pop(message_id, None)
        self._changed()

    def _say(self, job: Job, word: bytes) -> None:
        """Tell the queue; what it is not told it finds out by itself, when the lease has run out."""
        if self._puller is not None and (job.is_ours or word != _NAK):
            self._puller.say(job.delivery, word)

    # -- leases -------------------------------------------------------------------------------------------------

    async def _keep(self, puller: Puller) -> None:
        """For ever: renew what is at work, and look what became of it where that was not possible for too long."""
        clock = asyncio.get_running_loop().time
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_S):
                    await self._renew.wait()
            self._renew.clear()
            for job in tuple(self._jobs.values()):
                if clock() - job.renewed_at > ACK_WAIT_S:
                    job.is_ours = False
                if puller.say(job.delivery, _WORKING) and job.is_ours:
                    job.renewed_at = clock()
            for job in [job for job in self._jobs.values() if not job.is_ours and not job.is_answered]:
                await self._look_after(job)

    async def _look_after(self, job: Job) -> None:
        try:
            if await self._answers.find(job.ask, job.delivery.taken.at) is not None and not job.is_ours:
                _log.info("%s was ended by another", job.ask.message_id)
                job.end()
        except MeshError as error:
            _log.info("what became of %s is not known: %s", job.ask.message_id, error)

    def _state_changed(self, state: State) -> None:
        if state == "connected":
            self._renew.set()


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")[:_MOST_REASON]
