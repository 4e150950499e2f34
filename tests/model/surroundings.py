"""What modules of the edge see of the outside: the time of a loop, and loggers that keep what must not happen."""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from daena_mesh import replays
from tests.model.clock import VirtualLoop
from tests.model.streams import moment

_PACKAGES = ("daena_mesh.", "mesh_edge.")
_LOGGERS = ("daena_mesh", "mesh_edge", "asyncio", "nats")


class Surroundings:
    """For one run: `settle` before it, `undo` after it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.logged = Logged()
        self._loop = loop
        self._patch = pytest.MonkeyPatch()

    def settle(self, *, fewest: int) -> None:
        """Give all modules the time of the loop, and take what they log; from ``fewest`` on replays share a pass."""
        self._patch.setattr(replays, "FEWEST", fewest)
        clock, now = Clock(self._loop), dates(self._loop)
        for name, module in tuple(sys.modules.items()):
            if name.startswith(_PACKAGES):
                if getattr(module, "time", None) is time:
                    self._patch.setattr(module, "time", clock)
                if getattr(module, "datetime", None) is datetime:
                    self._patch.setattr(module, "datetime", now)
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            self._patch.setattr(logger, "handlers", [self.logged])
            self._patch.setattr(logger, "propagate", False)
            logger.setLevel(logging.ERROR)

    def undo(self) -> None:
        """Leave everything as it was."""
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.NOTSET)
        self._patch.undo()


class Clock:
    """The module ``time`` by the clock of a loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.monotonic = self.perf_counter = loop.time
        self._loop = loop

    def time(self) -> float:
        return moment(self._loop.now).timestamp()

    def time_ns(self) -> int:
        return int(self.time() * 1e9)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Logged(logging.Handler):
    """What the edge logs as an error, which is an error of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("nats"):  # it ends the connection over a pong that comes late, and says so
            self.errors.append(logging.Formatter().format(record))


def dates(loop: VirtualLoop) -> type[datetime]:
    class Now(datetime):
        @classmethod
        def now(cls, tz: Any = UTC) -> Any:
            return moment(loop.now).astimezone(tz)

    return Now
