"""Those who publish: people through the API, programs through the SDK, and agents at everything that agents do.

Sessions, tasks and agents are few, and the same all the time: what services know of them does not grow.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from daena_mesh import Mesh
from daena_mesh.agent import Agent
from daena_mesh.asks import Ask
from daena_mesh.errors import MeshUnavailable
from daena_mesh.stream_writer import StreamWriter

_CALL_S, _WORDS = 20.0, 20
SESSIONS, AGENTS = 100, 5
_PAGES = (
    "/api/v1/chat-history/sessions",
    "/api/v1/agents",
    "/api/v1/tasks",
    "/api/v1/chat-history/sessions/s1",
    "/metrics",
)


@dataclass
class Load:
    """All publishers, at ``rate`` events a second through the SDK, and a tenth of that for each of the others."""

    nats_url: str
    api_url: str
    rate: float
    done: Counter[str] = field(default_factory=Counter)
    """How often each kind of work was done, and how often it failed."""

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Publish until the block ends."""
        async with contextlib.AsyncExitStack() as stack:
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=self.api_url, timeout=_CALL_S))
            mesh = await stack.enter_async_context(Mesh.connect(self.nats_url, name="soak"))
            agents = [await stack.enter_async_context(self._agent(mesh, number)) for number in range(AGENTS)]
            works = Works(http, mesh, agents)
            often = [(works.say, self.rate), (works.speak, self.rate / 10), (works.look, self.rate / 10)]
            often += [(one, self.rate / 20) for one in (works.ask, works.work, works.write)]
            often += [(works.come_and_go, 1.0)]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._keep_on(*one)) for one in often]
                try:
                    yield
                finally:
                    for task in tasks:
                        task.cancel()

    @contextlib.asynccontextmanager
    async def _agent(self, mesh: Mesh, number: int) -> AsyncIterator[Agent]:
        async with mesh.agent(f"a{number}", concurrency=8) as agent:

            @agent.on_ask
            async def answer(ask: Ask, out: StreamWriter) -> None:
                for word in ask.content.split():
                    await out.write(f"{word} ")
                self.done["answers"] += 1

            yield agent

    async def _keep_on(self, work: Callable[[], Awaitable[str]], a_second: float) -> None:
        """So often a second, with 20 at a time at most."""
        room, going = asyncio.Semaphore(20), set[asyncio.Task[None]]()

        async def once() -> None:
            try:
                self.done[await work()] += 1
            except (MeshUnavailable, httpx.HTTPError, TimeoutError) as error:
                self.done[f"failed: {type(error).__name__}"] += 1
            finally:
                room.release()

        try:
            while True:
                await room.acquire()
                task = asyncio.create_task(once())
                going.add(task)
                task.add_done_callback(going.discard)
                await asyncio.sleep(1 / a_second)
        finally:
            await asyncio.wait_for(asyncio.gather(*going, return_exceptions=True), 60)


class Works:
    """One piece of each kind of work; each says what it was."""

    def __init__(self, http: httpx.AsyncClient, mesh: Mesh, agents: list[Agent]) -> None:
        self._http = http
        self._mesh = mesh
        self._agents = agents
        self._turns = itertools.cycle(range(SESSIONS))
        self._pages = itertools.cycle(_PAGES)

    async def say(self) -> str:
        """Through the SDK."""
        session = f"s{next(self._turns)}"
        said = {"session_id": session, "sender": "program", "content": "word " * _WORDS}
        await self._mesh.publish(f"chat.{session}.message", said)
        return "messages of programs"

    async def speak(self) -> str:
        """Through the API."""
        await self._post("/api/v1/daena/chat", f"s{next(self._turns)}", "Hello!")
        return "messages by REST"

    async def ask(self) -> str:
        """Ask an agent, who answers word by word."""
        turn = next(self._turns)
        await self._post(f"/api/v1/agents/a{turn % AGENTS}/chat", f"s{turn}", "And then?")
        return "questions"

    async def work(self) -> str:
        """As an agent at a task."""
        turn = next(self._turns)
        agent = self._agents[turn % AGENTS]
        await agent.activity("working", turn=turn)
        async with agent.task(f"t{turn}", total=3) as task:
            for _ in range(3):
                await task.advance()
        return "tasks"

    async def write(self) -> str:
        """Token by token."""
        async with self._mesh.chat(f"s{next(self._turns)}").stream(sender="writer") as out:
            for _ in range(_WORDS):
                await out.write("word ")
                await asyncio.sleep(0.05)
        return "streams of text"

    async def come_and_go(self) -> str:
        """As an agent that is soon gone."""
        async with self._mesh.agent("passer-by") as agent:
            await agent.activity("passing by")
        return "agents that came and went"

    async def look(self) -> str:
        """Read a page of the API."""
        (await self._http.get(next(self._pages))).raise_for_status()
        return "pages"

    async def _post(self, path: str, session: str, message: str) -> None:
        body = {"message": message, "session_id": session, "sender": "ada"}
        (await self._http.post(path, json=body)).raise_for_status()
