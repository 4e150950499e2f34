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

from daena_mesh import trace
from daena_mesh.answers import Answers, answer_id, is_old
from daena_mesh.asks import Ask, Target, read_ask
from daena_mesh.errors import InvalidEvent, MeshError, MeshUnavailable
from daena_mesh.events import ChatMessage
from daena_mesh.job import ACK, NAK, TERM, Job, Jobs
from daena_mesh.micro import Figures
from daena_mesh.pulling import MAX_DELIVER, Delivery, Puller, next_turn
from daena_mesh.stream_writer import StreamWriter

if TYPE_CHECKING:
    from daena_mesh.chat import Chat
    from daena_mesh.mesh import Mesh

Handler = Callable[[Ask, StreamWriter], Awaitable[str | None]]
"""Answers an ask: it writes, or returns the text, or both."""

BACK_OFF_S = (1.0, 4.0)
"""How long an ask rests after the first and the second attempt that failed."""

_WAIT_S = 3.0
_SHORT_WAIT_S = 1.0
_PAUSE_S = 0.3
_LAST_S = 5.0
_LAST_AWAY_S = 0.5
_MOST_LOOKS = 3
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
        self._puller = Puller(mesh.connection)
        self._jobs = Jobs(mesh.connection, self._puller, self._answers, changed)
        self._served: dict[str, _Served] = {}
        self._waiting: Counter[str] = Counter()
        self._engaged: Counter[str] = Counter()
        self._turns: dict[str, int] = {}
        self._turn = itertools.count(1)
        self._tasks: list[asyncio.Task[None]] = []
        self._keeper: asyncio.Task[None] | None = None
        self._is_started = False
        self._closing = asyncio.Event()

    # -- what the agent tells of it -----------------------------------------------------------------------------

    @property
    def serves(self) -> list[str]:
        """Whose asks are taken, such as ``agent/scout``."""
        return [str(served.target) for served in self._served.values()]

    @property
    def at_work(self) -> list[str]:
        """The messages that asked what is at work here, or rests before it is tried again."""
        return self._jobs.messages

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
        if self._served and not self._tasks and not self._closing.is_set():
            workers = [self._work() for _ in range(self._concurrency)]
            self._tasks = [asyncio.create_task(work, name=f"answering of {self._name}") for work in workers]
            self._keeper = asyncio.create_task(self._jobs.keep(), name=f"leases of {self._name}")

    async def close(self) -> None:
        """Take no more, and return at once what is unfinished, so that another can take it."""
        self._closing.set()
        await self._puller.close()  # first, or what is returned may come here again, and that would count as an attempt
        self._jobs.give_back()
        if self._tasks:
            within_s = _LAST_S if self._mesh.connection.is_connected else _LAST_AWAY_S
            await asyncio.wait(self._tasks, timeout=within_s)
        for task in (*self._tasks, *filter(None, [self._keeper])):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        """One worker: for ever take an ask and answer it."""
        while not self._closing.is_set():
            name = next_turn({name: self._waiting[name] for name in self._served}, self._engaged, self._turns)
            self._turns[name] = next(self._turn)
            self._engaged[name] += 1
            try:
                delivery = await self._pull(name)
                if delivery is not None:
                    await self._take(self._served[name], delivery)
            except MeshUnavailable:
                await self._pause()
            except Exception:  # noqa: BLE001 - or this worker would take nothing any more
                _log.exception("an ask could not be taken")
                await self._pause()
            finally:
                self._engaged[name] -= 1

    async def _pull(self, name: str) -> Delivery | None:
        wait_s = _WAIT_S if self._concurrency >= len(self._served) else _SHORT_WAIT_S
        await self._mesh.connection.wait_ready(_WAIT_S)
        if self._closing.is_set():
            return None
        self._waiting[name] += 1
        try:
            return await self._puller.pull(name, wait_s)
        finally:
            self._waiting[name] -= 1

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(0.1, 1) * _PAUSE_S):
                await self._closing.wait()

    # -- one ask ------------------------------------------------------------------------------------------------

    async def _take(self, served: _Served, delivery: Delivery) -> None:
        message = delivery.message
        subject, attempt = message.subject.decode("ascii", "replace"), delivery.taken.attempt
        try:
            ask = read_ask(message, attempt)
        except InvalidEvent as error:
            _log.warning("%s", error)
            self._puller.say(delivery, TERM)
            return
        with self._jobs.begun(ask, delivery) as job:
            if job is not None:
                parent = trace.of_headers(message.headers)
                with trace.span("answer ask", "consumer", parent=parent, subject=subject, attempt=attempt):
                    await self._answer(job, served)

    async def _answer(self, job: Job, served: _Served) -> None:
        began, failure = time.perf_counter(), ""
        try:
            if job.attempt == 1 or not await self._is_ended(job):
                await self._run(job, served)
            self._jobs.say(job, ACK)
        except asyncio.CancelledError:
            if not job.is_over:
                self._jobs.say(job, NAK)
                raise
            job.recover()
        except Exception as error:  # noqa: BLE001 - whatever an agent's handler raises
            failure = _reason(error)
            await self._failed(job, error)
        finally:
            self.figures.note(time.perf_counter() - began, failure)

    async def _run(self, job: Job, served: _Served) -> None:
        ask = job.ask
        chat = self._mesh.chat(ask.session_id, author=self._name)
        message_id = answer_id(ask.session_id, ask.message_id)
        out = chat.stream(served.sender, message_id=message_id, in_reply_to=ask.message_id)
        is_whole = False
        try:
            async with out:
                try:
                    said = await served.handler(ask, out)
                    if isinstance(said, str):
                        await out.write(said)
                    is_whole = True
                    if is_old(job.delivery.taken.at) and await self._is_ended(job):
                        out.abandon()
                except BaseException:
                    if not out.is_stopped and not out.is_cut:
                        out.abandon()  # whoever tries next writes the message
                    raise
                finally:
                    job.is_answered = True
        except MeshUnavailable as error:
            if not is_whole or out.is_stopped:
                raise
            _log.info("chat %s: an answer waits for NATS: %s", ask.session_id, error)
            await self._store_later(job, chat, out)
        except MeshError as error:
            if out.ack is None:
                raise
            _log.warning("chat %s: the answer to %s is cut: %s", ask.session_id, ask.message_id, error)

    async def _store_later(self, job: Job, chat: Chat, out: StreamWriter) -> None:
        """What took an hour to find must not be lost because NATS is away for a minute."""
        ask = job.ask
        message = ChatMessage(
            session_id=ask.session_id,
            sender=out.sender,
            content=out.text,
            message_id=out.message_id,
            metadata=out.metadata,
        )
        while not await self._is_ended(job):
            try:
                await chat.finish(message)
                return
            except MeshUnavailable:
                await self._pause()

    async def _is_ended(self, job: Job) -> bool:
        """Whether the log has the message that ends it; waits for the log, for as long as it is away.

        Who is connected and may not read it goes on without a look, if ids alone keep a second message out.
        """
        looks = 0
        while True:
            try:
                return await self._answers.find(job.ask, job.delivery.taken.at) is not None
            except MeshUnavailable:
                looks += self._mesh.connection.state == "connected"
                if looks > _MOST_LOOKS and not is_old(job.delivery.taken.at):
                    return False
                await self._pause()
                if self._closing.is_set():
                    raise

    async def _failed(self, job: Job, error: Exception) -> None:
        ask = job.ask
        _log.warning("attempt %d to answer %s failed", job.attempt, ask.message_id, exc_info=error)
        if job.attempt < MAX_DELIVER:
            if not self._closing.is_set():
                self._jobs.rest(job, BACK_OFF_S[job.attempt - 1])
            return
        text = f"There is no answer: {job.attempt} attempts to give one have failed."
        try:
            await self._answers.end(ask, job.delivery.taken.at, text, {"given_up": True, "reason": _reason(error)})
        except MeshError as failure:
            _log.warning("%s is left to the API: %s", ask.message_id, failure)
        else:
            self._jobs.say(job, TERM)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")[:_MOST_REASON]
