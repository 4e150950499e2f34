"""Answers as they are written, for the AI SDK: which there are, and each as server-sent events (HTML, section 9.2).

Nothing of them is kept here: what a stream has shown and has still to show is in the log. So whoever lost one is given
it anew, from its beginning, by any API.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from daena_mesh.answers import answer_id, is_answer
from daena_mesh.asks import Ask
from daena_mesh.cursors import Cursor, Positions
from daena_mesh.errors import MeshError
from daena_mesh.events import Event
from daena_mesh.feed import Gap
from daena_mesh.mesh import Mesh
from mesh_api.cursors import before, positions_of
from mesh_api.problems import BUSY, Problem, problem_of
from mesh_api.text_streams import TextStream
from mesh_api.ui_chunks import Chunk, UiChunks
from mesh_api.unfinished import Unfinished

ASKS: Final = "asks"
"""Where the metadata of a message says whom it was put to as a question."""

MOST_S = 3_600.0
"""How long a response lasts at most."""
_MOST_AT_ONCE = 1_000
_MOST_EACH = 50
_QUIET_S = 10.0
_CHECK_S = 10.0
_NEWEST = 50
_MARGIN = timedelta(seconds=60)
_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Vercel-AI-UI-Message-Stream": "v1",
    "X-Accel-Buffering": "no",
}

Write = Callable[[bytes], Awaitable[None]]


class Running(NamedTuple):
    """An answer that is not at its end: the one to ``question``, or the message ``message_id``."""

    session_id: str
    question: Ask | None
    message_id: str
    since: Positions
    """From where on the log has all of it."""


def read_patterns(session_id: str) -> tuple[str, ...]:
    """What one must be allowed to read of a session to be shown its answers."""
    return tuple(f"chat.{session_id}.{verb}{more}" for verb in ("message", "delta") for more in ("", ".*"))


def pending(events: Sequence[Event], now: datetime, timeout: timedelta) -> Event | None:
    """The newest question among messages, oldest first, if it is not answered and not given up by now."""
    for place in range(len(events) - 1, -1, -1):
        event = events[place]
        if not isinstance(_metadata(event).get(ASKS), str):
            continue
        question = question_of(event)
        if any(is_answer(later, question) for later in events[place + 1 :]):
            return None
        return event if datetime.fromisoformat(event.timestamp) + timeout + _MARGIN > now else None
    return None


def question_of(event: Event) -> Ask:
    """The question that a message is."""
    session_id, said = event.subject.split(".")[1], event.payload
    return Ask(
        session_id=session_id,
        message_id=str(said.get("message_id", event.id)),
        sender=str(said.get("sender", "")),
        content=str(said.get("content", "")),
        metadata=_metadata(event),
    )


class UiStreams:
    """The answers of one API that are being read."""

    def __init__(self, mesh: Mesh, unfinished: Unfinished, *, ask_timeout_s: float) -> None:
        """Questions are given up after ``ask_timeout_s``."""
        self._mesh = mesh
        self._unfinished = unfinished
        self._timeout = timedelta(seconds=ask_timeout_s)
        self._open: Counter[str | None] = Counter()
        """How many each user reads."""

    def check_room(self, user: str | None) -> None:
        """Raise `Problem` where too many are being read, by all or by this ``user``."""
        if self._open.total() >= _MOST_AT_ONCE:
            raise Problem(BUSY, f"{_MOST_AT_ONCE} answers are being read here.", {"Retry-After": "5"})
        if user is not None and self._open[user] >= _MOST_EACH:
            raise Problem(BUSY, f"You are reading {_MOST_EACH} answers here.", {"Retry-After": "5"})

    async def answering(self, question: Ask, cursor: str, stood: Positions) -> Running:
        """The answer to a question, stored at ``cursor``; the log ``stood`` there before it was put to anybody."""
        streams = await self._unfinished.of(question.session_id)
        return self._running(question, Cursor.parse(cursor), stood, streams)

    async def find(self, session_id: str) -> Running | None:
        """The answer that is awaited in a session, or the message that is being written; raises `MeshUnavailable`."""
        stood = await positions_of(self._mesh)
        events = await self._mesh.chat(session_id).history(_NEWEST)
        streams = await self._unfinished.of(session_id, {str(event.payload.get("message_id")) for event in events})
        if (event := pending(events, datetime.now(UTC), self._timeout)) is not None:
            return self._running(question_of(event), Cursor.parse(event.cursor), stood, streams)
        if not streams:
            return None
        newest = max(streams, key=lambda stream: stream.first_seq)
        return Running(session_id, None, newest.message_id, before(stood, [newest]))

    def _running(self, question: Ask, asked: Cursor, stood: Positions, streams: Iterable[TextStream]) -> Running:
        expected = answer_id(question.session_id, question.message_id)
        own = [one for one in streams if one.message_id == expected or one.in_reply_to == question.message_id]
        since = before(Positions({**stood, asked.letter: asked}.values()), own)
        return Running(question.session_id, question, "", since)

    def respond(
        self,
        running: Running,
        user: str | None,
        admitted: AbstractAsyncContextManager[None],
        check: Callable[[], Awaitable[None]],
    ) -> Response:
        """A response to ``user`` that lasts until the answer is there.

        It ends with an error where the block ``admitted`` or ``check``, which is called now and then, raises `Problem`.
        """

        async def run(write: Write) -> None:
            chunks = UiChunks(running.question, running.message_id)
            self._open[user] += 1
            try:
                async with admitted, asyncio.timeout(MOST_S):
                    await self._follow(running, chunks, write, check)
            except TimeoutError:
                await write(_frames(chunks.fail("It takes too long: come back for the rest.")))
            except Problem as problem:
                await write(_frames(chunks.fail(problem.detail)))
            except MeshError as error:
                await write(_frames(chunks.fail(problem_of(error).detail)))
            finally:
                self._open[user] -= 1
                if not self._open[user]:
                    del self._open[user]
            await write(b"data: [DONE]\n\n")

        return EventStream(run)

    async def _follow(
        self, running: Running, chunks: UiChunks, write: Write, check: Callable[[], Awaitable[None]]
    ) -> None:
        patterns = (*read_patterns(running.session_id), f"session.{running.session_id}.deleted")
        feed = self._mesh.subscribe(*patterns, since=running.since)
        loop = asyncio.get_running_loop()
        checked_at = loop.time()
        try:
            while not chunks.is_ended:
                item = await _within(_QUIET_S, feed)
                if loop.time() - checked_at > _CHECK_S:
                    await check()
                    checked_at = loop.time()
                if item is None:
                    await write(b":\n\n")
                elif not isinstance(item, Gap) and (made := chunks.take(item)):
                    await write(_frames(made))
        finally:
            feed.close()


class EventStream(Response):
    """A response that ``run`` writes, for as long as the client stays."""

    def __init__(self, run: Callable[[Write], Awaitable[None]]) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI 3.0)."""
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

        async def write(frames: bytes) -> None:
            await send({"type": "http.response.body", "body": frames, "more_body": True})

        async def left() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        async def run() -> None:
            await write(b":\n\n")  # so that proxies pass on that it begins
            await self._run(write)
            await send({"type": "http.response.body", "body": b""})

        running, leaving = (asyncio.ensure_future(what) for what in (run(), left()))
        try:
            await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running
        finally:
            for task in (running, leaving):
                task.cancel()
            await asyncio.gather(running, leaving, return_exceptions=True)


async def _within(seconds: float, feed: Any) -> Event | Gap | None:
    try:
        async with asyncio.timeout(seconds) as block:
            item: Event | Gap = await anext(feed)
            return item
    except TimeoutError:
        if not block.expired():
            raise
        return None


def _metadata(event: Event) -> dict[str, Any]:
    metadata = event.payload.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _frames(chunks: Iterable[Chunk]) -> bytes:
    return b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks)
