"""Questions that the queue has forgotten: they lie in it, and are given out to nobody any more.

Where a cluster chooses another leader for a consumer, that may take for settled what the one before had given out, or
had not come to: so one in thousands was left when nodes were cut off. Such a question lies at or before the floor of
its consumer, behind which everything waits for an acknowledgement or to be given out. It is put once more, and the old
one removed: the message that ends it is stored once, whoever is asked twice (`daena_mesh.answers`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from daena_mesh.answers import Answers
from daena_mesh.asks import Asks, Target, is_put_again
from daena_mesh.errors import InvalidId, MeshError, MeshUnavailable
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import ASKS
from daena_mesh.pulling import ACK_WAIT_S
from daena_mesh.rounds import make_rounds
from mesh_api.consumers import listed
from mesh_api.queued import Queued, queued_of, remove
from mesh_api.serving import Serving
from mesh_api.streams import counts

PAUSE_S = 1.0
_LOOKED_AT = 20
"""Of each target, the oldest: what is forgotten is soon among them."""
_PUT_WITHIN_S = 5.0
_log = logging.getLogger(__name__)


class Suspects:
    """Which questions are forgotten: those that were at two looks one after the other, for removals take a moment."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    @staticmethod
    def among(queue: Iterable[Queued], answering: Collection[str], now: datetime) -> list[Queued]:
        """Those of ``queue`` that were there for longer than somebody may be silent who has taken them."""
        since = now - timedelta(seconds=ACK_WAIT_S)
        return [
            queued
            for queued in queue
            if queued.asked_at <= since and queued.ask is not None and queued.ask.message_id not in answering
        ]

    def look(self, suspects: Iterable[Queued], floors: dict[str, int]) -> list[Queued]:
        """Those of ``suspects`` that are forgotten; ``floors`` are those of the consumers, by name."""
        settled = {
            queued.seq: queued for queued in suspects if queued.seq <= floors.get(Target.of(queued.subject).consumer, 0)
        }
        seen, self._seen = self._seen, set(settled)
        return [queued for seq, queued in settled.items() if seq in seen]

    def blind(self) -> None:
        """Nothing could be seen: begin anew."""
        self._seen.clear()


class Forgotten:
    """Looks for them, and puts them once more. Every API does it."""

    def __init__(self, mesh: Mesh, serving: Serving) -> None:
        """Through ``mesh``; ``serving`` knows what is being answered."""
        self._mesh = mesh
        self._serving = serving
        self._answers = Answers(mesh)
        self._asks = Asks(mesh, deadline_s=_PUT_WITHIN_S, patience_s=_PUT_WITHIN_S)
        self._suspects = Suspects()

    async def run(self) -> None:
        """For ever."""
        await make_rounds(
            self._sweep,
            every_s=PAUSE_S,
            connection=self._mesh.connection,
            blind=self._suspects.blind,
            doing="looking for forgotten questions",
            log=_log,
        )

    async def _sweep(self) -> None:
        asked = await counts(self._mesh.connection, ASKS, "ask.>")
        suspects: list[Queued] = []
        # Where nobody serves, nothing was given out that could be forgotten.
        for target in targets_of(asked.by_subject) & self._serving.beats.targets:
            batch = await self._mesh.log.batch(ASKS, target.pattern, 0, most=_LOOKED_AT)
            queue = [queued_of(message) for message in batch.messages if not is_put_again(message)]
            suspects += Suspects.among(queue, self._serving.beats.answering, asked.now)
        for queued in self._suspects.look(suspects, await self._floors() if suspects else {}):
            if await self._is_settled(queued):
                await remove(self._mesh.connection, queued.seq)

    async def _floors(self) -> dict[str, int]:
        return {consumer.name: consumer.ack_floor.stream_seq for consumer in await listed(self._mesh.connection)}

    async def _is_settled(self, queued: Queued) -> bool:
        """Whether a question is answered, or put again by this."""
        if queued.ask is None:
            return False
        if await self._answers.find(queued.ask, queued.asked_at) is not None:
            return True
        _log.warning("question %s was forgotten by the queue, and is put again", queued.ask.message_id)
        try:
            draft = self._asks.draft(queued.subject, queued.ask)
            await self._asks.put(draft, cursor=queued.ask.cursor, again_of=queued.seq)
        except MeshUnavailable:
            raise
        except MeshError as error:
            _log.warning("question %s cannot be put again: %s", queued.ask.message_id, error)
            return False
        return True


def targets_of(subjects: Iterable[str]) -> set[Target]:
    """For whom there are questions, by their subjects; what is of nobody is left out."""
    found: set[Target] = set()
    for subject in subjects:
        with suppress(InvalidId):
            found.add(Target.of(subject))
    return found
