"""A brain, and what it says of its state: ``brain.status`` on ``brain.<id>.status``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from daena_mesh import codec
from daena_mesh.log import Ack
from daena_mesh.subjects import check_id, subject_for

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh

EVERY_S = 15.0
"""How often a state that stays the same is told again."""


class Brain:
    """A server of language models, or whatever else thinks, by its id.

    >>> await mesh.brain("main").report({"state": "online", "model": "llama3.2"})
    """

    def __init__(self, mesh: Mesh, brain_id: str = "main", *, every_s: float = EVERY_S) -> None:
        """Prefer `Mesh.brain`; raises `InvalidId`."""
        self.brain_id = check_id(brain_id, "brain_id")
        self.every_s = every_s
        self._mesh = mesh
        self._said = b""
        self._again_at = 0.0

    async def report(self, status: Any) -> Ack | None:
        """Say how the brain is: a text or a JSON object.

        What is new is told at once. The same again is told once ``every_s`` seconds have passed since, and is None
        until then, so this may be called as often as one likes. Without NATS it is kept for later, as other signals
        are. Raises `InvalidEvent`.
        """
        payload = {"brain_id": self.brain_id, "status": status}
        says, now = codec.encode("brain.status", payload, event_id="", timestamp=""), time.monotonic()
        if now < self._again_at and says == self._said:
            return None
        # Before the first await, so that two at once tell the same only once.
        before, self._said, self._again_at = (self._said, self._again_at), says, now + self.every_s
        try:
            return await self._mesh.publish(subject_for("brain.status", self.brain_id), payload)
        except BaseException:
            self._said, self._again_at = before
            raise
