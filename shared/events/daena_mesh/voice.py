"""What an agent tells: events that couriers carry, and that wait, the newest of each alone, while NATS is away."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from daena_mesh.connection import State
from daena_mesh.courier import Courier
from daena_mesh.errors import MeshError
from daena_mesh.ids import uuid7

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh

_PATIENCE_S = 0.5
_BREATH_S = 0.005
_TURNS = 3
"""One in which a courier begins, one in which what it wrote is given to the socket, and one to spare."""
_log = logging.getLogger(__name__)

_Letter = tuple[str, bytes]


class Line:
    """Events on one subject, of bursts only as many as a rate allows."""

    def __init__(self, mesh: Mesh, subject: str, *, per_s: float, gate: asyncio.Event) -> None:
        """Prefer `Voice.line`."""
        self._mesh = mesh
        self._subject = subject
        self._courier: Courier[_Letter] = Courier(self._deliver, per_s=per_s, gate=gate)

    @property
    def coalesced(self) -> int:
        """How many events were never sent, because a newer one took their place."""
        return self._courier.coalesced

    def tell(self, payload: dict[str, Any]) -> bool:
        """Send an event, as it is now, as soon as that may be; whether it goes now. Raises `InvalidEvent`."""
        event_id = uuid7()
        return self._courier.offer((event_id, self._mesh.encode(self._subject, payload, event_id)))

    async def finish(self, within_s: float) -> bool:
        """Send what is left at once, and wait for it, for ``within_s`` at most; whether it is done."""
        return await self._courier.finish(within_s)

    async def _deliver(self, letter: _Letter) -> None:
        event_id, body = letter
        try:
            await self._mesh.put(self._subject, body, event_id, patience_s=_PATIENCE_S)
        except MeshError as error:
            _log.warning("an event on %s is given up: %s", self._subject, error)

    def hang_up(self) -> None:
        """Send nothing more."""
        self._courier.stop()

    def when_done(self, voice: Voice) -> None:
        """Have ``voice`` forget the line once nothing is left on it."""
        self._courier.when_done(lambda: voice.forget(self))


class Voice:
    """The lines of an agent."""

    def __init__(self, mesh: Mesh) -> None:
        """Nothing is sent before `open`."""
        self._mesh = mesh
        self._gate = asyncio.Event()
        self._lines: set[Line] = set()
        self._breathed_at = 0.0

    def open(self) -> None:
        """Speak from now on, whenever NATS is there."""
        self._mesh.connection.watch(self._state_changed)
        self._state_changed(self._mesh.connection.state)

    def close(self) -> None:
        """Say nothing more."""
        self._mesh.connection.unwatch(self._state_changed)
        for line in self._lines:
            line.hang_up()

    def line(self, subject: str, *, per_s: float) -> Line:
        """A line for events on ``subject``, ``per_s`` a second at most. Raises `ValueError`."""
        return Line(self._mesh, subject, per_s=per_s, gate=self._gate)

    def keep(self, line: Line) -> None:
        """A line is in use."""
        self._lines.add(line)

    def forget(self, line: Line) -> None:
        """A line is in use no longer."""
        self._lines.discard(line)

    async def see_off(self, line: Line, within_s: float) -> None:
        """Let the last be said on a line, in ``within_s`` seconds or else in the background, and forget it then."""
        try:
            await line.finish(within_s)
        finally:
            line.when_done(self)

    async def finish(self, within_s: float) -> None:
        """Let the last be said on all lines, for ``within_s`` seconds at most."""
        await asyncio.gather(*(line.finish(within_s) for line in self._lines))

    async def breathe(self, *, goes_now: bool) -> None:
        """Let the event loop turn, now and then, and where something ``goes_now``.

        A loop that does nothing but report must not stop the heart, and what an agent tells before it computes for a
        while must be out before that.
        """
        at = asyncio.get_running_loop().time()
        if goes_now or at - self._breathed_at > _BREATH_S:
            self._breathed_at = at
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    def _state_changed(self, state: State) -> None:
        if state == "connected":
            self._gate.set()
        else:
            self._gate.clear()
