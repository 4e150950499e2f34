"""Being asked to stop: the first SIGINT, SIGTERM or SIGHUP is a request, the second ends the process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from daena_mesh.errors import MeshError
from mesh_cli.notifier import Notifier

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENDED_BY_SIGNAL = 128


class Stop:
    """Hears the signals of this process, for the task that makes it.

    Until :meth:`started` is called a signal cancels that task, because there is nothing to drain yet; after
    that it sets :attr:`asked`. systemd is told of both. A second signal ends the process at once: its children notice,
    and end too.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.number: int | None = None
        self.is_orphan = False
        """The parent has gone."""
        self.failure: MeshError | None = None
        self.before_the_end: Callable[[], None] | None = None
        """Called when a second signal ends the process at once; must be quick."""
        self._notifier = Notifier()
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._heard, number)

    def started(self) -> None:
        """From now on a signal asks for a drain; raises `asyncio.CancelledError` if one came a moment ago."""
        self._starting = None
        if self.number is not None:
            raise asyncio.CancelledError
        self._notifier.started()

    def when_stdin_closes(self) -> None:
        """Ask for the end when standard input closes: a child's way to notice that its parent is gone.

        A parent that goes while this process is being stopped was told twice: that ends it at once.
        """
        loop = asyncio.get_running_loop()

        def readable() -> None:
            if not os.read(0, 4096):
                if self.asked.is_set():
                    os._exit(_ENDED_BY_SIGNAL + (self.number or 0))
                loop.remove_reader(0)
                self.is_orphan = True
                self.asked.set()

        loop.add_reader(0, readable)

    def give_up(self, failure: MeshError) -> None:
        """Ask for the end because of ``failure``."""
        self.failure = failure
        self.asked.set()

    @property
    def exit_code(self) -> int:
        """What a process returns that was stopped before it had started."""
        return _ENDED_BY_SIGNAL + (self.number or 0)

    def _heard(self, number: int) -> None:
        if self.number is not None:
            if self.before_the_end is not None:
                self.before_the_end()
            os._exit(_ENDED_BY_SIGNAL + number)
        self.number = number
        self._notifier.stopping()
        self.asked.set()
        if self._starting is not None:
            self._starting.cancel()
