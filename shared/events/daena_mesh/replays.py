"""Replays in flight: few at a time, and one pass over the log for the many that are behind at once.

Where events of thousands of topics lie between each other, a replay of one of them costs the server, and whoever
publishes meanwhile, as much as reading them all. So when many ask, a `Window` is read once, if that is not much more
than they want, and serves all that come within a moment.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence

from daena_mesh import replay
from daena_mesh.reader import MOST_BYTES, StreamReader
from daena_mesh.want import Chunk, Filters, Want
from daena_mesh.window import Window

MOST_ALONE = 8
"""How many are read each by itself at a time; the others wait."""

FEWEST = 8
"""From this number on a window is thought of."""

WORTH = 256
"""How many messages a window may read for each that it serves: what a replay of its own costs, in messages."""

_QUIET_S = 0.01
_HOLD_S = 0.25
_KEEP_S = 5.0
_AT_A_TIME = 32


class Waiting:
    """One who waits for its chunk."""

    __slots__ = ("answer", "asked_at", "want")

    def __init__(self, want: Want, asked_at: float, answer: asyncio.Future[Chunk]) -> None:
        self.want = want
        self.asked_at = asked_at
        self.answer = answer


def ends_of(wants: Sequence[Want]) -> dict[str, int]:
    """For each stream up to where one of ``wants`` wants it."""
    ends: dict[str, int] = {}
    for want in wants:
        for stream in want.streams:
            ends[stream] = max(ends.get(stream, 0), want.reach(stream) or 0)
    return ends


def distance(want: Want, ends: Mapping[str, int]) -> int:
    """How many sequences lie between where it stands and ``ends``."""
    return sum(ends[stream] - want.after[stream] for stream in want.streams)


def choose(wants: Sequence[Want], lately: int) -> set[int]:
    """Whom one window may serve: the places in ``wants`` of those that are near enough to the end; none if too few.

    One that is far behind would have the range of all others grow, so the group is as large as its farthest member
    allows. ``lately`` is how many have asked within a moment: as many may come within the next.
    """
    ends = ends_of(wants)
    far = sorted((distance(want, ends), i) for i, want in enumerate(wants))
    near = (n for n, (sequences, _) in enumerate(far, 1) if sequences <= max(n, lately) * WORTH)
    size = max(near, default=0)
    return {i for _, i in far[:size]} if size >= FEWEST else set()


class Replays:
    """Everybody's replays through one connection."""

    def __init__(self, log: StreamReader) -> None:
        """Reads from ``log``."""
        self._log = log
        self._new: list[Waiting] = []
        self._alone: deque[Waiting] = deque()
        """Those that no window would serve better."""
        self._running = 0
        self._lately: deque[float] = deque()
        """When each of those asked that did within the time for which a window is kept."""
        self._window: Window | None = None
        self._is_reading = False
        """Whether the window is being read."""
        self._timer: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(
        self, filters: Filters, after: Mapping[str, int], *, reach: Mapping[str, int], most_bytes: int = MOST_BYTES
    ) -> Chunk:
        """What `daena_mesh.replay.read` gives, in turn with all others; ``reach`` names every stream.

        Raises `MeshUnavailable`.
        """
        want = Want(filters, after, reach, most_bytes)
        await replay.expire(self._log, want)
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._lately.append(now)
        while self._lately[0] < now - _KEEP_S:
            self._lately.popleft()
        if self._window is not None and self._window.suits(want) and self._window.has(want):
            return self._window.give(want)
        waiting = Waiting(want, now, loop.create_future())
        self._new.append(waiting)
        if self._timer is None:
            self._timer = loop.call_later(0, self._look)  # all who ask in this turn are looked at together
        return await waiting.answer

    @property
    def in_flight(self) -> int:
        """How many passes over the log are being read."""
        return self._running + self._is_reading

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._new) + len(self._alone)

    def forget(self) -> None:
        """Sequences may have another meaning from now on."""
        self._window = None

    def _look(self) -> None:
        """Decide what is read next, if there is room for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._new = [waiting for waiting in self._new if not waiting.answer.done()]
        if self._new and not self._is_reading:
            self._look_at_window()
        if len(self._new) < FEWEST:
            room = max(0, MOST_ALONE - self._running - len(self._alone))
            self._alone.extend(self._new[:room])
            del self._new[:room]
        while self._alone and self._running < MOST_ALONE:
            self._running += 1
            self._run(self._by_itself(self._alone.popleft()))

    def _look_at_window(self) -> None:
        wants = [waiting.want for waiting in self._new]
        window = self._window
        chosen = {i for i, want in enumerate(wants) if window is not None and window.suits(want)}
        if window is None or not chosen:
            if len(self._new) < FEWEST:
                return
            chosen = choose(wants, len(self._lately))
            if chosen and (pause_s := self._more_may_come()):
                self._timer = asyncio.get_running_loop().call_later(pause_s, self._look)
                return
            self._alone.extend(waiting for i, waiting in enumerate(self._new) if i not in chosen)
            window = None
        group = [waiting for i, waiting in enumerate(self._new) if i in chosen]
        self._new = [] if window is None else [waiting for i, waiting in enumerate(self._new) if i not in chosen]
        if group:
            self._is_reading = True
            self._run(self._together(group, window))

    def _more_may_come(self) -> float:
        """How many seconds to wait for more of those who come at once, as after a restart: they share the pass."""
        now = asyncio.get_running_loop().time()
        if now - self._new[0].asked_at >= _HOLD_S:
            return 0
        return max(0.0, self._lately[-1] + _QUIET_S - now)

    async def _by_itself(self, waiting: Waiting) -> None:
        try:
            if not waiting.answer.done():
                _answer(waiting, await replay.give(self._log, waiting.want))
        except Exception as error:  # noqa: BLE001 - whatever it is, the one who asked is told
            _refuse((waiting,), error)
        finally:
            self._running -= 1
            self._look()

    async def _together(self, group: Sequence[Waiting], window: Window | None) -> None:
        wants = [waiting.want for waiting in group]
        if window is None:
            self._window = window = Window(wants)
        try:
            came_to_the_end = await window.extend(self._log, ends_of(wants))
            for i, waiting in enumerate(group, 1):
                _answer(waiting, window.give(waiting.want))
                if i % _AT_A_TIME == 0:
                    await asyncio.sleep(0)  # each of them has work to do now
            self._keep(self._window if came_to_the_end else None)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who asked are told
            self._window = None
            _refuse(group, error)
        finally:
            self._is_reading = False
            self._look()

    def _keep(self, window: Window | None) -> None:
        """Keep it for those who come within a moment; one that cannot go on is of no use to them."""
        self._window = window
        if self._end is not None:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(_KEEP_S, self.forget)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _answer(waiting: Waiting, chunk: Chunk) -> None:
    if not waiting.answer.done():
        waiting.answer.set_result(chunk)


def _refuse(group: Sequence[Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
