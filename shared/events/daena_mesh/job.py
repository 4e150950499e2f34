"""An ask that is being worked on, and whether it is still ours."""

from __future__ import annotations

import asyncio

from daena_mesh.asks import Ask
from daena_mesh.pulling import Delivery


class Job:
    """An ask at work here."""

    def __init__(self, ask: Ask, delivery: Delivery, now: float) -> None:
        self.ask = ask
        self.delivery = delivery
        self.renewed_at = now
        self.is_ours = True
        """As far as we know nobody else was given it."""
        self.is_answered = False
        """The handler has ended, and what it said is being stored."""
        self.is_over = False
        """Somebody else has ended it, or it was returned to the queue: the handler is cancelled."""
        self.task = asyncio.current_task()

    def adopt(self, delivery: Delivery, now: float) -> None:
        """The queue gave it out again, to us."""
        self.delivery, self.renewed_at, self.is_ours = delivery, now, True

    def end(self) -> None:
        """Cancel the handler, unless it has ended."""
        self.is_over = True
        if self.task is not None and not self.is_answered:
            self.task.cancel()
