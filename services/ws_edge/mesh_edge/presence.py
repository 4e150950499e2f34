"""Who is on the topics of this edge, and what others are told of it.

Nothing happens here for sockets without a named user, nor for what is delivered. A user comes with the first of their
sockets on a topic and leaves a moment after the last one, so that a page which is loaded anew comes and goes unseen.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque

import msgspec

from daena_mesh.errors import Conflict, InvalidId, MeshUnavailable
from daena_mesh.mesh import Mesh
from daena_mesh.presence import Roster
from daena_mesh.rosters import ALIVE, DONE, Rosters
from daena_mesh.subjects import safe_id
from daena_mesh.sweeping import DEAD_AFTER_S, Sweeper

MOST_ROSTER_BYTES = 262_144
"""How much an edge announces of one topic, some 3,000 users; NATS takes a megabyte at once."""

_RENEW_S = DEAD_AFTER_S / 3 - 0.3
_VALID_S = DEAD_AFTER_S - 2
_PACE_S = 0.05
_PACE_PER_USER_S = 0.0005
_MOST_PACE_S = 1.0
_RETRY_S = 0.5
_AT_ONCE = 8
_EMPTY_S = 5
_LIFE_BYTES = 43
_MOST_WHO = 64
_log = logging.getLogger(__name__)


def check_who(given: str | None, *, is_open: bool) -> str | None:
    """As whom a client says that it is present, which counts where nobody authenticates; raises `InvalidId`."""
    if given is None or not is_open:
        return None
    if not 0 < len(given) <= _MOST_WHO or not given.isprintable() or given != given.strip():
        raise InvalidId(f"who {given[:40]!a} must be 1 to {_MOST_WHO} characters that can be seen")
    return given


class Room:
    """The users of one topic here, and how many sockets each has."""

    __slots__ = ("size_bytes", "users", "was_full")

    def __init__(self) -> None:
        self.users: dict[str, int] = {}
        self.was_full = False
        self.size_bytes = 0

    def arrive(self, who: str) -> bool:
        """Take a socket in; False where no more users can be announced."""
        if (sockets := self.users.get(who)) is None:
            size = self.size_bytes + _size_of(who)
            if size > MOST_ROSTER_BYTES:
                return False
            self.size_bytes, sockets = size, 0
        self.users[who] = sockets + 1
        return True

    def depart(self, who: str) -> bool:
        """Let a socket go; True if it was the last one of its user."""
        if self.users.get(who, 0) <= 0:
            return False
        self.users[who] -= 1
        return self.users[who] == 0

    def forget(self, who: str) -> bool:
        """Let a user go who has no socket here any more; False if they have one."""
        if self.users.get(who) != 0:
            return False
        del self.users[who]
        self.size_bytes -= _size_of(who)
        return True


def _size_of(who: str) -> int:
    """What a user takes in a roster: as JSON, since what must be escaped takes six bytes."""
    return len(msgspec.json.encode(who)) + _LIFE_BYTES


class Presence:
    """Keeps the rosters of this edge as they should be."""

    def __init__(self, mesh: Mesh, edge_id: str, *, linger_s: float) -> None:
        """Nothing happens before `start`. ``linger_s`` is for how long after their last socket users still count."""
        self._mesh = mesh
        self._rosters = Rosters(mesh)
        self._sweeper = Sweeper(self._rosters, mesh.connection)
        self._edge_id = edge_id
        self._linger_s = linger_s
        self._rooms: dict[str, Room] = {}
        self._told: dict[str, Roster] = {}
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._leaving: deque[tuple[float, str, str]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._name = self._new_name()
        self._lease = 0
        self._renewed = float("-inf")
        self._renewing = asyncio.Lock()
        self._is_ending = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, in the background."""
        self._mesh.log.on_change(self._reconsider)
        self._tasks = [
            asyncio.create_task(self._work(), name="presence"),
            asyncio.create_task(self._keep_lease(), name="lease of presence"),
            asyncio.create_task(self._sweeper.run(), name="sweeper of presence"),
        ]

    def end(self) -> None:
        """The edge is being stopped: its users are on their way to another one, and nobody is told that they left.

        Who does not come back there is found gone with the edge.
        """
        self._is_ending = True

    async def close(self) -> None:
        """Stop; what is written stays until somebody finds the edge dead."""
        self.end()
        self._mesh.log.remove_on_change(self._reconsider)
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- sockets ------------------------------------------------------------------------------------------------

    def arrive(self, topic: str, who: str) -> None:
        """A socket of ``who`` follows ``topic``."""
        if (room := self._rooms.get(topic)) is None:
            room = self._rooms[topic] = Room()
        if not room.arrive(who):
            if not room.was_full:
                room.was_full = True  # once: thousands may come
                _log.warning("%s has more users here than can be announced", topic)
        elif who not in self._told.get(topic, ()):
            self._change(topic)

    def depart(self, topic: str, who: str) -> None:
        """A socket of ``who`` follows ``topic`` no longer."""
        room = self._rooms.get(topic)
        if room is None or not room.depart(who) or self._is_ending:
            return
        loop = asyncio.get_running_loop()
        self._leaving.append((loop.time() + self._linger_s, topic, who))
        if self._timer is None:
            self._timer = loop.call_later(self._linger_s, self._leave)

    def _leave(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._leaving and self._leaving[0][0] <= loop.time():
            _, topic, who = self._leaving.popleft()
            if (room := self._rooms.get(topic)) is not None and room.forget(who):
                if not room.users:
                    del self._rooms[topic]
                self._change(topic)
        if self._leaving:
            self._timer = loop.call_at(self._leaving[0][0], self._leave)

    # -- the log ------------------------------------------------------------------------------------------------

    def _change(self, topic: str) -> None:
        self._changed.add(topic)
        self._wake.set()

    def _reconsider(self) -> None:
        """NATS is back, or a stream began another life: look whether everything is still as it was written."""
        self._renewed = float("-inf")
        self._changed.update(self._rooms, self._told)
        if self._changed:
            self._wake.set()

    def _here(self, topic: str) -> tuple[str, ...]:
        return tuple(room.users) if (room := self._rooms.get(topic)) is not None else ()

    async def _work(self) -> None:
        """For ever: settle what changed. Whoever comes meanwhile is in the next turn, however many they are."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            pause_s = _PACE_S
            try:
                await self._renew(_VALID_S)
                topics = tuple(self._changed)
                # A big roster is written as a whole for whoever comes: so the more are in it, the more come at once.
                users = sum(len(self._told.get(topic, ())) for topic in topics)
                pause_s = min(_MOST_PACE_S, max(_PACE_S, _PACE_PER_USER_S * users))
                for begin in range(0, len(topics), _AT_ONCE):
                    some = topics[begin : begin + _AT_ONCE]
                    for outcome in await asyncio.gather(*map(self._settle, some), return_exceptions=True):
                        if outcome is not None:
                            raise outcome
            except MeshUnavailable as error:
                _log.info("presence waits: %s", error)
                pause_s = _RETRY_S
                self._wake.set()
            except Exception:  # noqa: BLE001 - or nobody would be announced any more
                _log.exception("presence failed")
                pause_s = _RETRY_S
                self._wake.set()
            await asyncio.sleep(pause_s)

    async def _settle(self, topic: str) -> None:
        self._changed.discard(topic)
        name = self._name
        try:
            roster = await self._rosters.change(topic, name, lambda: self._here(topic), self._told.get(topic, {}))
            if name != self._name:  # it was taken for dead meanwhile, and this may have come after all was removed
                await self._sweeper.remove(name)
                self._change(topic)
                return
        except BaseException:
            self._changed.add(topic)
            raise
        if roster:
            self._told[topic] = roster
        else:
            self._told.pop(topic, None)

    # -- the lease ----------------------------------------------------------------------------------------------

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                if self._rooms or self._told or self._changed:
                    await self._renew(0)
                elif self._lease:
                    await self._hand_in()
            except MeshUnavailable as error:
                _log.info("the lease of %s waits: %s", self._name, error)
            except Exception:  # noqa: BLE001 - or the edge would be taken for dead
                _log.exception("the lease of %s cannot be renewed", self._name)

    async def _renew(self, within_s: float) -> None:
        """Have a lease that was renewed ``within_s`` ago at most; raises `MeshUnavailable`."""
        loop = asyncio.get_running_loop()
        async with self._renewing:
            while loop.time() - self._renewed > within_s:
                began = loop.time()
                try:
                    self._lease = await self._rosters.write_lease(self._name, ALIVE, self._lease)
                except Conflict:
                    await self._lost_lease()
                else:
                    self._renewed = began
                    return

    async def _lost_lease(self) -> None:
        """Another wrote it, or it is gone: find out which."""
        found = await self._rosters.lease(self._name)
        if found is not None and found.state == ALIVE:
            self._lease = found.seq
            return
        self._lease = 0
        if found is None:  # lost, and the rosters with it: they are written again, and nobody has come or left
            self._changed.update(self._told)
        else:  # this edge was taken for dead: its users have left for the others, and come back
            before, self._name = self._name, self._new_name()
            self._told.clear()
            self._changed.update(self._rooms)
            await self._sweeper.remove(before)
        if self._changed:
            self._wake.set()

    async def _hand_in(self) -> None:
        """Nobody is here any more: nothing would be missing if this edge were."""
        async with self._renewing:
            before, lease = self._name, self._lease
            self._name, self._lease, self._renewed = self._new_name(), 0, float("-inf")
            with contextlib.suppress(Conflict):
                await self._rosters.write_lease(before, DONE, lease, ttl_s=_EMPTY_S)

    def _new_name(self) -> str:
        return f"{safe_id(self._edge_id)[:40]}-{secrets.token_hex(6)}"
