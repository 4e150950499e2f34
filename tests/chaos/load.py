"""Those who publish while faults happen: agents through NATS, people through the API, and people who ask an agent.

Each subject has a publisher that begins with a number when the one before it was acknowledged, and tries again with the
same id until it is: what was acknowledged is known exactly, and nothing ends as unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from daena_mesh.asks import Ask
from daena_mesh.errors import MeshUnavailable
from daena_mesh.mesh import Mesh
from daena_mesh.stream_writer import StreamWriter
from tests.chaos.ledger import Book
from tests.chaos.stage import Stage

_PAUSE_S = 0.05
_CALL_S = 8.0
_SLOW_S = 1.0
_MORE = 1.05
"""So much more is offered than shall be stored: a publisher whose acknowledgement is late begins later."""
AGENT = "echo"


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How much of everything.

    Attributes:
        clients: sockets at the edges.
        rate: events a second that agents store in RECORDS at least, over all sessions, while nothing is wrong.
        sessions: chats that agents write to.
        signals: agents that tell what they do, twice a second each.
        spoken: chats that are written to through the API, ten times a second each.
        asked: chats in which an agent is asked, twice a second each.
        again: of how many events of agents one is published twice under its id, as by somebody whose acknowledgement
            did not arrive; 0: of none. A stream that is deleted in between has it twice.
    """

    clients: int = 2_000
    rate: int = 2_000
    sessions: int = 400
    signals: int = 20
    spoken: int = 4
    asked: int = 2
    again: int = 0


class Stall(NamedTuple):
    """A write that took long, because it had to be tried again."""

    at: float
    seconds: float


@dataclass
class Write:
    """A write that is on its way."""

    begun: float
    why: str = ""
    """What the last attempt was told, if it had to be tried again."""


@dataclass
class Load:
    """All publishers; ``run`` them for a block."""

    stage: Stage
    amounts: Amounts
    books: dict[str, Book] = field(default_factory=dict)
    stalls: list[Stall] = field(default_factory=list)
    """Of agents."""
    api_stalls: list[Stall] = field(default_factory=list)
    acked: int = 0
    refused: list[str] = field(default_factory=list)
    """Answers of the API that are no success and nothing to try again after, and writes that came to no end."""
    writes: dict[str, Write] = field(default_factory=dict)
    """On their way, by subject."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        for subject in (*self.said, *self.signalled, *self.spoken, *self.asked, *self.answered):
            self.books[subject] = Book(subject)

    @property
    def said(self) -> list[str]:
        """Subjects that agents write to."""
        return [f"chat.s{n}.message" for n in range(self.amounts.sessions)]

    @property
    def signalled(self) -> list[str]:
        """Subjects on which agents tell what they do."""
        return [f"agent.a{n}.activity" for n in range(self.amounts.signals)]

    @property
    def spoken(self) -> list[str]:
        """Subjects that are written to through the API."""
        return [f"chat.api{n}.message" for n in range(self.amounts.spoken)]

    @property
    def asked(self) -> list[str]:
        """Subjects of questions."""
        return [f"chat.ask{n}.message" for n in range(self.amounts.asked)]

    @property
    def answered(self) -> list[str]:
        """Subjects of answers: one book for each, with the numbers whose question was acknowledged."""
        return [f"{subject}.{AGENT}" for subject in self.asked]

    def seats(self) -> list[tuple[str, Sequence[str]]]:
        """What the clients follow, and what they write down: each subject has its share of them."""
        seats: list[tuple[str, Sequence[str]]] = []
        asking = [(f"/ws/chat/ask{n}", pair) for n, pair in enumerate(zip(self.asked, self.answered, strict=True))]
        kinds: list[tuple[str, Sequence[str]]] = [
            *asking,
            *((f"/ws/chat/api{n}", [subject]) for n, subject in enumerate(self.spoken)),
            *((f"/ws/agent/a{n}", [subject]) for n, subject in enumerate(self.signalled)),
            *((f"/ws/chat/s{n}", [subject]) for n, subject in enumerate(self.said)),
        ]
        while len(seats) < self.amounts.clients:
            seats += kinds
        return seats[: self.amounts.clients]

    def is_record(self, subject: str) -> bool:
        """Whether it is one of RECORDS, of which nothing may be lost whatever happens."""
        return not subject.startswith("agent.")

    def is_ordered(self, subject: str) -> bool:
        """Whether its numbers come in their order; questions are answered side by side."""
        return not subject.endswith(f".{AGENT}")

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Publish until the block ends, and until all that was begun is acknowledged."""
        async with contextlib.AsyncExitStack() as stack:
            agents = [await stack.enter_async_context(self.stage.mesh(f"agent-{n}", n)) for n in range(3)]
            agent = await stack.enter_async_context(agents[0].agent(AGENT, concurrency=32))

            @agent.on_ask
            async def answer(ask: Ask, out: StreamWriter) -> None:
                await out.write(ask.content)

            http = await stack.enter_async_context(httpx.AsyncClient(timeout=_CALL_S))
            tasks = [asyncio.create_task(self._agent(agents[n % 3], s, n)) for n, s in enumerate(self.said)]
            tasks += [asyncio.create_task(self._signal(agents[n % 3], s)) for n, s in enumerate(self.signalled)]
            tasks += [asyncio.create_task(self._speak(http, s, n)) for n, s in enumerate(self.spoken)]
            tasks += [asyncio.create_task(self._ask(http, s, n)) for n, s in enumerate(self.asked)]
            try:
                yield
                self._stopping.set()
                done, left = await asyncio.wait(tasks, timeout=60)
                for task in done:
                    task.result()  # a publisher that failed
                self.refused += [self._told(subject) for subject in self.writes] if left else []
                await self._all_answered()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def longest(self) -> tuple[float, str]:
        """For how long the write is on its way that is so for longest, and what is known of it."""
        oldest = min(self.writes, key=lambda subject: self.writes[subject].begun, default="")
        return (time.monotonic() - self.writes[oldest].begun, self._told(oldest)) if oldest else (0.0, "")

    def _told(self, subject: str) -> str:
        write = self.writes[subject]
        return f"{subject} is being written for {time.monotonic() - write.begun:.1f} s: {write.why or 'no answer yet'}"

    async def _all_answered(self) -> None:
        """Give the agent a moment for the questions that came last."""
        await asyncio.sleep(8)

    async def _agent(self, mesh: Mesh, subject: str, turn: int) -> None:
        session, period_s = subject.split(".")[1], self.amounts.sessions / (_MORE * self.amounts.rate)

        async def store(number: int) -> None:
            payload = {"session_id": session, "sender": "agent", "content": str(number)}
            is_repeated = self.amounts.again > 0 and number % self.amounts.again == 0
            for _ in range(2 if is_repeated else 1):
                await self._until_stored(
                    subject, lambda: mesh.publish(subject, payload, event_id=f"{session}-{number}")
                )

        await asyncio.sleep(period_s * turn / self.amounts.sessions)
        await self._keep_on(subject, period_s, store, self.stalls)

    async def _signal(self, mesh: Mesh, subject: str) -> None:
        agent = subject.split(".")[1]

        async def store(number: int) -> None:
            event_id = f"{agent}-{number}"
            body = mesh.encode(subject, {"agent_id": agent, "activity": {"n": number}}, event_id)
            await self._until_stored(
                subject, lambda: mesh.log.append(subject, body, event_id=event_id, msg_id=event_id, deadline_s=5)
            )

        await self._keep_on(subject, 0.5, store, [])

    async def _speak(self, http: httpx.AsyncClient, subject: str, turn: int) -> None:
        session = subject.split(".")[1]

        async def store(number: int) -> None:
            body = {"message": str(number), "session_id": session, "sender": "user"}
            await self._call(http, "/api/v1/daena/chat", body, turn, subject)

        await self._keep_on(subject, 0.1, store, self.api_stalls)

    async def _ask(self, http: httpx.AsyncClient, subject: str, turn: int) -> None:
        session, answers = subject.split(".")[1], self.books[f"{subject}.{AGENT}"]

        async def store(number: int) -> None:
            answers.begin()
            body = {"message": str(number), "session_id": session, "sender": "user"}
            await self._call(http, f"/api/v1/agents/{AGENT}/chat", body, turn, subject)
            answers.acknowledge(number, time.monotonic())

        await self._keep_on(subject, 0.5, store, self.api_stalls)

    async def _keep_on(
        self, subject: str, period_s: float, store: Callable[[int], Awaitable[None]], stalls: list[Stall]
    ) -> None:
        book, due = self.books[subject], time.monotonic()
        while not self._stopping.is_set():
            number, begun = book.begin(), time.monotonic()
            self.writes[subject] = Write(begun)
            await store(number)
            del self.writes[subject]
            now = time.monotonic()
            book.acknowledge(number, now)
            self.acked += 1
            if now - begun > _SLOW_S:
                stalls.append(Stall(begun, now - begun))
            due = max(due + period_s, now - period_s)  # what a stall has taken is not made up for in a burst
            await asyncio.sleep(max(0.0, due - now))

    async def _until_stored(self, subject: str, publish: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await publish()
                return
            except MeshUnavailable as error:
                self.writes[subject].why = str(error)
                await asyncio.sleep(_PAUSE_S)

    async def _call(self, http: httpx.AsyncClient, path: str, body: dict[str, str], turn: int, subject: str) -> None:
        """Ask one API after the other until one has done it, as somebody behind a proxy does."""
        attempt, key = turn, f"{body['session_id']}-{body['message']}"
        while True:
            apis = self.stage.cluster.apis
            url = f"{apis[attempt % len(apis)].url}{path}"
            attempt += 1
            try:
                answer = await http.post(url, json=body, headers={"Idempotency-Key": key})
            except httpx.HTTPError as error:
                self.writes[subject].why = repr(error)
                await asyncio.sleep(_PAUSE_S)
                continue
            if answer.status_code == 200:
                return
            if answer.status_code < 500 and answer.status_code != 429:
                self.refused.append(f"{answer.status_code} {answer.text[:200]}")
                return
            self.writes[subject].why = f"{answer.status_code} {answer.text[:200]}"
            await asyncio.sleep(_PAUSE_S)
