"""Log lines as ``agent.activity``, through a handler of Python's own `logging`.

>>> logging.getLogger("indexer").addHandler(ActivityHandler(agent))
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daena_mesh.agent import Agent

_OURS = ("daena_mesh", "nats", "asyncio")
_MOST_TEXT = 500


class ActivityHandler(logging.Handler):
    """Tells each log line as an activity of an agent: its text as the state, with ``level`` and ``logger``.

    It may be used from any thread, neither blocks nor raises, and leaves out the log lines of the mesh itself, which
    would cause others. Of a burst the newest line goes, as with `Agent.activity`.
    """

    def __init__(self, agent: Agent, level: int | str = logging.INFO) -> None:
        """Made on the event loop of ``agent``, whose activities it tells until that leaves."""
        super().__init__(level)
        self.coalesced = 0
        """How many lines were never told, because a newer one took their place."""
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        self._newest: tuple[str, str, str] | None = None
        self._telling: asyncio.Task[None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a log line, soon."""
        if record.name.partition(".")[0] in _OURS:
            return
        try:
            line = record.getMessage()[:_MOST_TEXT], record.levelname, record.name
        except Exception:  # noqa: BLE001 - as every handler of logging does with a line that cannot be formatted
            self.handleError(record)
            return
        with self.lock or contextlib.nullcontext():
            is_first, self._newest = self._newest is None, line
            self.coalesced += not is_first
        if is_first:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the agent with it
                self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._telling = self._loop.create_task(self._tell(), name="log line as an activity")

    async def _tell(self) -> None:
        with self.lock or contextlib.nullcontext():
            line, self._newest = self._newest, None
        if line is not None and self._agent.is_entered:
            text, level, logger = line
            await self._agent.activity(text, level=level, logger=logger)
