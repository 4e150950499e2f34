"""Healing: what a follower does until it is live, from the log. Thousands that are live keep nothing of it.

It learns where the streams stand, reads what is missing, and then shows what was held meanwhile. So it is begun when a
follower starts, and again whenever that missed something, or might have.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from daena_mesh.audits import Looks
from daena_mesh.chain import Chain, Hold
from daena_mesh.cursors import Cursor, Positions
from daena_mesh.errors import MeshUnavailable
from daena_mesh.layout import LETTERS
from daena_mesh.log import Log
from daena_mesh.stored import Stored

if TYPE_CHECKING:
    from daena_mesh.follower import Follower, GapReason, Sink

_RETRY_S = 0.2
_log = logging.getLogger(__name__)


def lost_by(looks: Looks, chains: Mapping[str, Chain]) -> dict[str, int]:
    """Note in ``chains`` what an audit found out; give behind which sequence of each stream the log must be read."""
    lost = {}
    for stream, look in looks.items():
        chain = chains.get(stream)
        if chain is None or chain.verified != look.was:
            continue  # something else came to know more meanwhile, or sequences have another meaning now
        if look.lost is None:
            chain.verified = look.reach
        else:
            lost[stream] = look.lost
            chain.reach = max(chain.reach, look.reach)
    return lost


class Healing:
    """Runs as a task until nothing is held by its follower any more, and tells it then."""

    __slots__ = ("_follower", "_log", "_since", "_sink", "_task", "behind", "is_oriented")

    def __init__(self, follower: Follower, log: Log, sink: Sink, since: Positions | None) -> None:
        """``since`` is where a follower begins that was just started; None for one that was live."""
        self.behind: dict[str, int] = {}
        """For streams in which something was lost: behind which sequence."""
        self.is_oriented = since is None
        """It is known where the streams stand, and to which lives of theirs positions belong."""
        self._follower = follower
        self._log = log
        self._sink = sink
        self._since = since
        self._task = asyncio.create_task(self._run(), name=f"heal {follower.patterns[0]}")

    def cancel(self) -> None:
        """Nobody follows any longer."""
        self._task.cancel()

    async def _run(self) -> None:
        follower = self._follower
        while follower.hold is not None:
            try:
                if not self.is_oriented:
                    await self._orient_fully()
                await self._catch_up()
            except MeshUnavailable as error:
                _log.info("%s: cannot be healed yet: %s", ", ".join(follower.patterns), error)
                self.is_oriented = False  # perhaps it is a leader that does not answer any longer
                self._sink.degraded()
                await asyncio.sleep(_RETRY_S)
            except Exception:  # noqa: BLE001 - who follows must not stand still for ever
                _log.exception("%s: cannot be healed yet", ", ".join(follower.patterns))
                self._sink.degraded()
                await asyncio.sleep(_RETRY_S)
        follower.healed()

    # -- where the streams stand --------------------------------------------------------------------------------

    async def _orient_fully(self) -> None:
        self.is_oriented = True  # a disturbance while this waits makes it run once more
        try:
            await self._orient()
        except BaseException:
            self.is_oriented = False
            raise

    async def _orient(self) -> None:
        """Learn where the streams stand, and which of the follower's positions still count there."""
        follower, log = self._follower, self._log
        connects, chains = log.connection.connects, follower.chains
        looks: Looks = {}
        if self._since is None:
            stands, looks = await log.audits.ask(follower)
        else:
            stands = await log.stand.ask()
        silent = chains.keys() - stands.keys()
        if not follower.can_go_without(silent):
            raise MeshUnavailable(f"the leader of stream {min(silent)} does not answer")
        heard = {stream: chain for stream, chain in chains.items() if stream not in silent} if silent else chains
        past = [stream for stream, chain in heard.items() if self._since is None and chain.position > stands[stream]]
        heads = {stream: await log.head(stream, follower.filters[stream]) for stream in past}
        if connects != log.connection.connects or not log.epochs.keys() >= follower.filters.keys():
            raise MeshUnavailable("the connection was lost, or made, meanwhile")
        since, self._since = self._since, None
        follower.connects = connects
        follower.heard = heard
        for stream, chain in heard.items():
            epoch, stand = log.epochs[stream], max(stands[stream], heads.get(stream, 0))
            before = follower.position(stream) if since is None else since.get(LETTERS[stream])
            chain.epoch = epoch.name
            if before is None:
                chain.begin(stand)
            elif before.epoch != epoch.name:
                self._jump(stream, before, epoch.seq, "reset")
                chain.reach = max(chain.reach, stand)
            elif before.seq > stand:
                self._jump(stream, before, stand, "reset")
            elif since is not None:
                chain.begin(before.seq)
                chain.reach = stand
            elif stream in looks:
                self._take_in({stream: looks[stream]})

    def _take_in(self, looks: Looks) -> None:
        for stream, seq in lost_by(looks, self._follower.heard).items():
            self.behind[stream] = min(seq, self.behind.get(stream, seq))

    def _jump(self, stream: str, before: Cursor, seq: int, reason: GapReason) -> None:
        self._sink.gap(before, self._log.position(stream, seq), reason)
        self._follower.chains[stream].begin(seq)
        self.behind.pop(stream, None)

    # -- what is missing ----------------------------------------------------------------------------------------

    async def _catch_up(self) -> None:
        """Read the log from where each stream stands up to its head, and release what was held meanwhile."""
        follower = self._follower
        while (hold := follower.hold) is not None:
            if self.behind or any(chain.seen < chain.reach for chain in follower.heard.values()):
                await self._look_behind()
                await self._replay()
            if follower.connects != self._log.connection.connects:
                self.is_oriented = False  # what is held came over another connection than what was read
                return
            if hold.overflowed:
                follower.hold = Hold()  # the log has what could not be held
            elif hold.release(follower.take):
                if not self.is_oriented:
                    return
                follower.hold = None

    async def _look_behind(self) -> None:
        """What is read now must not hide that another subject lost something before it."""
        if any(not chain.whole and chain.seen > chain.verified for chain in self._follower.heard.values()):
            _, looks = await self._log.audits.ask(self._follower)
            self._take_in(looks)

    async def _replay(self) -> None:
        follower, chains = self._follower, self._follower.heard
        filters = follower.heard_filters
        ended = False
        while not ended:
            after = {stream: self.behind.get(stream, chain.seen) for stream, chain in chains.items()}
            reach = {stream: chain.reach for stream, chain in chains.items()}
            chunk = await self._log.replays.read(filters, after, reach=reach)
            if follower.connects != self._log.connection.connects:
                raise MeshUnavailable("what was read came over another connection than where the streams stood")
            for stream, kept in chunk.expired.items():
                if kept - 1 > chains[stream].seen:
                    self._jump(stream, follower.position(stream), kept - 1, "expired")
                    chains[stream].reach = max(reach[stream], kept - 1)
            for message in chunk.messages:
                self._show_missed(message)
            self.behind.update(chunk.positions)
            ended = chunk.ended
        self.behind = {}
        for stream, chain in chains.items():
            chain.seen = max(chain.seen, reach[stream])  # though the newest may have expired meanwhile
            chain.verified = max(chain.verified, chain.seen)

    def _show_missed(self, message: Stored) -> None:
        chain = self._follower.chains[message.stream]
        if chain.missed(message):
            chain.note(message)
            if self._sink.event(message, None):
                chain.show(message.seq)
