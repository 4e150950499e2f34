"""Questions that the queue has forgotten: they lie in it, and are given out to nobody any more.

Where a cluster chooses another leader for a consumer, that may take for settled what the one before had given out, or
had not come to: so one in thousands was left when nodes were cut off. Such a question lies at or before the floor of
its consumer, behind which everything waits for an acknowledgement or to be given out. It is put once more, and the old
one removed: the message that ends it is stored once, whoever is asked twice (`daena_mesh.answers`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import msgspec

from daena_mesh.answers import Answers
from daena_mesh.asks import Asks, Target, is_put_again
from daena_mesh.errors import MeshError, MeshUnavailable
from daena_mesh.jetstream import ApiReply, call
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import ASKS
from daena_mesh.pulling import ACK_WAIT_S
from mesh_api.queued import Queued, queued_of

_LOOKED_AT = 20
"""Of each target, the oldest: what is forgotten is soon among them."""
_PUT_WITHIN_S = 5.0
_log = logging.getLogger(__name__)


class _Floor(msgspec.Struct):
    stream_seq: int = 0


class _Consumer(msgspec.Struct):
    name: str
    ack_floor: _Floor = msgspec.field(default_factory=_Floor)


class _Listed(ApiReply):
    total: int = 0
    consumers: list[_Consumer] | None = None


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
    """Looks for them, and puts them once more."""

    def __init__(self, mesh: Mesh, answers: Answers) -> None:
        """Through ``mesh``."""
        self._mesh = mesh
        self._answers = answers
        self._asks = Asks(mesh, deadline_s=_PUT_WITHIN_S, patience_s=_PUT_WITHIN_S)
        self._suspects = Suspects()

    async def look(self, targets: Iterable[Target], answering: Collection[str], now: datetime) -> list[Queued]:
        """Put again what is forgotten of ``targets``, which somebody serves; give what may be removed.

        ``answering`` are the messages that are being answered. Raises `MeshUnavailable`.
        """
        suspects: list[Queued] = []
        for target in targets:
            batch = await self._mesh.log.batch(ASKS, target.pattern, 0, most=_LOOKED_AT)
            queue = [queued_of(message) for message in batch.messages if not is_put_again(message)]
            suspects += Suspects.among(queue, answering, now)
        forgotten = self._suspects.look(suspects, await self._floors() if suspects else {})
        return [queued for queued in forgotten if await self._is_settled(queued)]

    def blind(self) -> None:
        """Nothing could be seen: begin anew."""
        self._suspects.blind()

    async def _floors(self) -> dict[str, int]:
        found: list[_Consumer] = []
        while True:
            answer = await call(self._mesh.connection, f"CONSUMER.LIST.{ASKS}", {"offset": len(found)}, _Listed)
            if answer.error is not None:
                raise MeshUnavailable(f"the consumers of {ASKS} are not known: {answer.error.description}")
            found += answer.consumers or ()
            if len(found) >= answer.total or not answer.consumers:
                return {consumer.name: consumer.ack_floor.stream_seq for consumer in found}

    async def _is_settled(self, queued: Queued) -> bool:
        """Whether a question is answered, or put again by this."""
        if queued.ask is None:
            return False
        if await self._answers.find(queued.ask, queued.asked_at) is not None:
            return True
        _log.warning("question %s was forgotten by the queue, and is put again", queued.ask.message_id)
        try:
            await self._asks.put(self._asks.draft(queued.subject, queued.ask), again_of=queued.seq)
        except MeshUnavailable:
            raise
        except MeshError as error:
            _log.warning("question %s cannot be put again: %s", queued.ask.message_id, error)
            return False
        return True
