"""Ends questions that nobody answers: one message from ``system``, and out of the queue.

Every API does it. Its message has the id that an answer would have, so it is stored once, and not beside an answer.
A question that was given out as often as it may be stays in the queue until it is ended here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from daena_mesh.answers import Answers
from daena_mesh.errors import InvalidId, MeshError, MeshUnavailable
from daena_mesh.layout import RECORDS
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import ASKS
from daena_mesh.rounds import make_rounds
from mesh_api.queued import Queued, queued_of, remove
from mesh_api.serving import Serving
from mesh_api.streams import counts

MOST_PAUSE_S = 2.0
LISTEN_S = 6.0
"""Longer than the time between two heartbeats: who works on something has said so."""

_BATCH = 200
_AT_ONCE = 8
_log = logging.getLogger(__name__)


class Patience:
    """Which questions are to be ended: those that nobody was answering at two looks one after the other.

    One look alone could fall between the moment in which an agent takes a question and its saying so.
    """

    def __init__(self, timeout_s: float) -> None:
        """A question has ``timeout_s`` seconds."""
        self._timeout = timedelta(seconds=timeout_s)
        self._seen: set[int] = set()

    def is_over(self, asked_at: datetime, now: datetime) -> bool:
        """Whether a question of that age has had its time."""
        return asked_at + self._timeout <= now

    def look(self, queue: Iterable[Queued], answering: Collection[str], now: datetime) -> list[Queued]:
        """Those of ``queue`` that are to be ended ``now``; ``answering`` are the messages that are being answered."""
        left = {
            queued.seq: queued
            for queued in queue
            if self.is_over(queued.asked_at, now) and (queued.ask is None or queued.ask.message_id not in answering)
        }
        seen, self._seen = self._seen, set(left)
        return [queued for seq, queued in left.items() if seq in seen]

    def blind(self) -> None:
        """Nothing could be seen: begin anew."""
        self._seen.clear()


class Unanswered:
    """Looks at the queue."""

    def __init__(self, mesh: Mesh, serving: Serving, *, timeout_s: float) -> None:
        """A question has ``timeout_s`` seconds, unless somebody who says so is answering it."""
        self.ended = 0
        self._mesh = mesh
        self._serving = serving
        self._answers = Answers(mesh)
        self._timeout_s = timeout_s
        self._patience = Patience(timeout_s)

    async def run(self) -> None:
        """For ever."""
        await make_rounds(
            self._sweep,
            every_s=min(MOST_PAUSE_S, self._timeout_s / 5),
            connection=self._mesh.connection,
            blind=self._patience.blind,
            doing="sweeping the queue of questions",
            log=_log,
        )

    async def _sweep(self) -> None:
        if await self._serving.look() < min(LISTEN_S, self._timeout_s):
            self._patience.blind()
            return
        now = (await counts(self._mesh.connection, ASKS, "ask.>")).now
        old = await self._old(now)
        over = self._patience.look(old, self._serving.beats.answering, now)
        for begin in range(0, len(over), _AT_ONCE):
            await asyncio.gather(*(self._end(queued) for queued in over[begin : begin + _AT_ONCE]))

    async def _old(self, now: datetime) -> list[Queued]:
        """What lies in the queue for too long."""
        found: list[Queued] = []
        while True:
            batch = await self._mesh.log.batch(ASKS, "ask.>", found[-1].seq if found else 0, most=_BATCH)
            queue = [queued_of(message) for message in batch.messages]
            old = [queued for queued in queue if self._patience.is_over(queued.asked_at, now)]
            found += old
            if len(old) < len(queue) or not batch.pending or not queue:
                return found

    async def _end(self, queued: Queued) -> None:
        if queued.ask is not None and not await self._is_deleted(queued.ask.session_id):
            text = f"Nobody has answered this question within {self._timeout_s:g} s."
            try:
                if await self._answers.end(queued.ask, queued.asked_at, text, {"unanswered": True}):
                    self.ended += 1
            except MeshUnavailable:
                raise
            except MeshError as error:  # one that no session can have: nobody can be told
                _log.warning("the question at %d: %s", queued.seq, error)
        await remove(self._mesh.connection, queued.seq)

    async def _is_deleted(self, session_id: str) -> bool:
        with suppress(InvalidId):
            return await self._mesh.log.last(RECORDS, f"session.{session_id}.deleted") is not None
        return True
