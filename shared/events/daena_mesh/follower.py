"""Following patterns of subjects through live messages and the log, so that nothing is lost, doubled or reordered.

What a live subscription delivers is a hint; the log is the truth. A follower subscribes, asks the leaders where they
stand, and from then on shows each live message that fits on what was shown before. One that does not fit, a reconnect
and the audit make it read the log first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, Protocol

from daena_mesh.audits import Looks
from daena_mesh.chain import Chain, Hold, Verdict
from daena_mesh.connection import State, Subscription
from daena_mesh.cursors import Cursor, Positions
from daena_mesh.errors import MeshError, MeshUnavailable
from daena_mesh.layout import LETTERS, epoch_subject
from daena_mesh.log import Log
from daena_mesh.stored import Stored, read_live
from daena_mesh.subjects import covers

GapReason = Literal["reset", "expired"]

_RETRY_S = 0.2
_LATE_INTEREST_S = (0.3, 1.7)
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Who is shown what a follower follows. All calls are synchronous and must be quick."""

    def event(self, message: Stored, prev: int | None) -> bool:
        """Show a message; ``prev`` is the position before it for a live one, None for one from the log.

        Returns False for what is not shown, such as poison: positions move past it all the same.
        """

    def gap(self, before: Cursor, after: Cursor, reason: GapReason) -> None:
        """What lay between the two positions cannot be shown."""

    def degraded(self) -> None:
        """From now on live events may be missing, until `healed`."""

    def healed(self) -> None:
        """Everything up to the heads was shown."""


class ShortWay(Protocol):
    """What has shortcuts for live messages, past `Follower.receive`."""

    def unlearn(self) -> None:
        """Have none from now on: messages may have to wait for others, or be of another life of the stream."""


@lru_cache
def _lines(streams: tuple[str, ...]) -> Mapping[bytes, str]:
    """What `read_live` knows streams by."""
    return {b"Nats-Stream: " + stream.encode(): stream for stream in streams}


class Follower:
    """Follows patterns from now on, or from given positions on."""

    __slots__ = (
        *("chains", "connects", "filters", "is_live", "patterns"),
        *("_behind", "_healing", "_hold", "_log", "_looking", "_oriented", "_short_way", "_since", "_sink"),
        *("_streams", "_subscriptions", "_waiting"),
    )

    def __init__(self, log: Log, patterns: Sequence[str], sink: Sink, since: Positions | None = None) -> None:
        """``patterns`` are subjects with wildcards. A stream that ``since`` does not name starts live."""
        self.patterns = tuple(patterns)
        self.filters = log.layout.split(patterns)
        self.chains = {stream: Chain(whole=">" in own) for stream, own in self.filters.items()}
        self._log = log
        self._sink = sink
        self._since: Positions | None = since or Positions()
        self._streams = _lines(tuple(self.filters))
        self._subscriptions: list[Subscription] = []
        self._hold: Hold | None = Hold()
        self._short_way: ShortWay | None = None
        self._oriented = False
        self.connects = 0
        """The connection on which it learned where the streams stand; on a later one something may have been missed."""
        self._behind: dict[str, int] = {}
        self._healing: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self.is_live = False
        """Everything up to the heads was shown, and live messages are shown as they come."""
        self._waiting: list[asyncio.Future[None]] | None = None
        """Who waits for that."""

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, short_way: ShortWay | None = None) -> None:
        """Subscribe and begin to catch up; the sink is told `healed` when that is done."""
        self._short_way = short_way
        handler, connection = self.receive, self._log.connection
        self._subscriptions = [connection.subscribe("live." + pattern, handler) for pattern in self.patterns]
        self._log.attend(self)
        self._heal()

    def stop(self) -> None:
        """Follow no longer. The sink is not called any more."""
        connection = self._log.connection
        if self._short_way is not None:
            self._short_way.unlearn()
        for subscription in self._subscriptions:
            connection.unsubscribe(subscription)
        if self._subscriptions:
            self._log.dismiss(self)
        self._subscriptions = []
        for task in (self._healing, self._looking):
            if task is not None:
                task.cancel()

    @property
    def hold(self) -> Hold | None:
        """Live messages that wait until the log has been read; None while they are shown as they come."""
        return self._hold

    @hold.setter
    def hold(self, hold: Hold | None) -> None:
        self._hold = hold
        if hold is not None and self._short_way is not None:
            self._short_way.unlearn()

    @property
    def is_healing(self) -> bool:
        """Whether live messages wait until the log has been read."""
        return self.hold is not None

    async def wait_live(self) -> None:
        """Wait until it is live."""
        if not self.is_live:
            live: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting = [*(self._waiting or ()), live]
            await live

    def position(self, stream: str) -> Cursor:
        """Up to where everything of ``stream`` was shown."""
        chain = self.chains[stream]
        return Cursor(LETTERS[stream], chain.epoch, chain.position)

    @property
    def positions(self) -> Positions:
        """Up to where everything was shown, for each stream."""
        return Positions(map(self.position, self.chains))

    def subscription_of(self, subject: bytes) -> Subscription | None:
        """The first subscription through which messages on ``subject`` come; None where it does not follow."""
        name = subject.decode()
        for pattern, subscription in zip(self.patterns, self._subscriptions, strict=False):
            if covers(pattern, name):
                return subscription
        return None

    # -- live messages ------------------------------------------------------------------------------------------

    def receive(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        """Take a live message off the wire: show it, hold it, or read first what is missing before it."""
        message = read_live(self._streams, subject, reply, headers, body)
        if message is None:
            return
        if self.chains[message.stream].is_new_subject(message.subject) and not self._is_owned(message):
            return
        if self.hold is not None:
            self.hold.add(message)
            if self.hold.overflowed:
                chain = self.chains[message.stream]
                chain.reach = max(chain.reach, message.seq)
        elif not self._take(message):
            self._log.heals["gap"] += 1
            self.hold = Hold()
            self.hold.add(message)
            self._heal()

    def _is_owned(self, message: Stored) -> bool:
        """Whether the stream it comes from is the one that owns its subject; another could be anybody's."""
        try:
            subject = message.subject.decode()
            return subject == epoch_subject(message.stream) or self._log.layout.stream_of(subject) == message.stream
        except (MeshError, UnicodeDecodeError):
            return False

    def _take(self, message: Stored) -> bool:
        """Show a live message if it fits on; False if something before it is missing."""
        chain = self.chains[message.stream]
        verdict = chain.judge(message)
        if verdict is Verdict.SHOW:
            chain.note(message)
            if self._sink.event(message, chain.position):
                chain.show(message.seq)
        elif verdict is Verdict.GAP:
            self._behind[message.stream] = chain.heal_from(message)
            chain.reach = max(chain.reach, message.seq)
        return verdict is not Verdict.GAP

    # -- healing ------------------------------------------------------------------------------------------------

    def _heal(self) -> None:
        if self._healing is None:
            self._healing = asyncio.create_task(self._heal_until_live(), name=f"heal {self.patterns[0]}")

    def renewed(self) -> None:
        """What comes from now on comes over another connection; `disturbed` heals, once that is ready."""
        self._oriented = False
        self._log.heals["reconnect"] += self.hold is None
        self.hold = Hold()  # what was held may be of another life of its stream; the log has what is still there

    def disturbed(self) -> None:
        """After a reconnect, or with a new epoch, only the log knows what was missed."""
        self._oriented = False
        if self.hold is None:
            self._log.heals["reconnect"] += 1
            self.hold = Hold()
        self._heal()

    def state_changed(self, state: State) -> None:
        """The log is cut off, or there again."""
        if state == "degraded":
            self._sink.degraded()
        elif state == "connected" and self.hold is None:
            self._sink.healed()
        elif state == "closed":
            self.stop()

    async def _heal_until_live(self) -> None:
        while self.hold is not None:
            try:
                if not self._oriented:
                    await self._orient_fully()
                await self._catch_up()
            except MeshUnavailable as error:
                _log.info("%s: cannot be healed yet: %s", ", ".join(self.patterns), error)
                self._sink.degraded()
                await asyncio.sleep(_RETRY_S)
            except Exception:  # noqa: BLE001 - who follows must not stand still for ever
                _log.exception("%s: cannot be healed yet", ", ".join(self.patterns))
                self._sink.degraded()
                await asyncio.sleep(_RETRY_S)
        self._healing = None  # thousands of followers keep no task that has ended
        self.is_live = True
        for waiting in self._waiting or ():
            if not waiting.done():
                waiting.set_result(None)
        self._waiting = None
        self._sink.healed()
        if self._log.connection.is_clustered and self._looking is None:
            self._looking = asyncio.create_task(self._look_again())

    async def audit(self) -> None:
        """Find a loss that no later message reveals, by asking the leaders; raises `MeshUnavailable`."""
        if self.hold is None:
            _, looks = await self._log.audits.ask(self)
            self.found(looks)

    def found(self, looks: Looks) -> None:
        """Take what an audit found out: read what was lost. While the log is read already the next audit will tell."""
        if self.hold is None and self._subscriptions:
            self._take_looks(looks)
            if self._behind:
                self._log.heals["audit"] += 1
                self.hold = Hold()
                self._heal()

    def _take_looks(self, looks: Looks) -> None:
        for stream, look in looks.items():
            chain = self.chains[stream]
            if chain.verified != look.was:
                continue  # something else came to know more meanwhile, or sequences have another meaning now
            if look.lost is None:
                chain.verified = look.reach
            else:
                self._behind[stream] = min(look.lost, self._behind.get(stream, look.lost))
                chain.reach = max(chain.reach, look.reach)

    async def _look_again(self) -> None:
        """In a cluster, interest may become known to another node later than a flush returns."""
        for pause in _LATE_INTEREST_S:
            await asyncio.sleep(pause)
            with contextlib.suppress(MeshUnavailable):
                await self.audit()
        self._looking = None

    async def _orient_fully(self) -> None:
        self._oriented = True  # a disturbance while this waits makes it run once more
        try:
            await self._orient()
        except BaseException:
            self._oriented = False
            raise

    async def _orient(self) -> None:
        """Learn where the streams stand, and which of our positions still count there."""
        connects = self._log.connection.connects
        looks: Looks = {}
        if self._since is None:
            stands, looks = await self._log.audits.ask(self)
        else:
            stands = await self._log.stand.ask()
        past = [
            stream for stream, chain in self.chains.items() if self._since is None and chain.position > stands[stream]
        ]
        heads = {stream: await self._log.head(stream, self.filters[stream]) for stream in past}
        if connects != self._log.connection.connects or not self._log.epochs.keys() >= self.filters.keys():
            raise MeshUnavailable("the connection was lost, or made, meanwhile")
        since, self._since = self._since, None
        self.connects = connects
        for stream, chain in self.chains.items():
            epoch, stand = self._log.epochs[stream], max(stands[stream], heads.get(stream, 0))
            before = self.position(stream) if since is None else since.get(LETTERS[stream])
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
                self._take_looks({stream: looks[stream]})

    def _jump(self, stream: str, before: Cursor, seq: int, reason: GapReason) -> None:
        self._sink.gap(before, self._log.position(stream, seq), reason)
        self.chains[stream].begin(seq)
        self._behind.pop(stream, None)

    async def _catch_up(self) -> None:
        """Read the log from where each stream stands up to its head, and release what was held meanwhile."""
        while (hold := self.hold) is not None:
            if self._behind or any(chain.seen < chain.reach for chain in self.chains.values()):
                await self._look_behind()
                await self._replay()
            if self.connects != self._log.connection.connects:
                self._oriented = False  # what is held came over another connection than what was read
                return
            if hold.overflowed:
                self.hold = Hold()  # the log has what could not be held
            elif hold.release(self._take):
                if not self._oriented:
                    return
                self.hold = None

    async def _look_behind(self) -> None:
        """What is read now must not hide that another subject lost something before it."""
        if any(not chain.whole and chain.seen > chain.verified for chain in self.chains.values()):
            _, looks = await self._log.audits.ask(self)
            self._take_looks(looks)

    async def _replay(self) -> None:
        ended = False
        while not ended:
            after = {stream: self._behind.get(stream, chain.seen) for stream, chain in self.chains.items()}
            reach = {stream: chain.reach for stream, chain in self.chains.items()}
            chunk = await self._log.replays.read(self.filters, after, reach=reach)
            if self.connects != self._log.connection.connects:
                raise MeshUnavailable("what was read came over another connection than where the streams stood")
            for stream, kept in chunk.expired.items():
                if kept - 1 > self.chains[stream].seen:
                    self._jump(stream, self.position(stream), kept - 1, "expired")
                    self.chains[stream].reach = max(reach[stream], kept - 1)
            for message in chunk.messages:
                self._show_missed(message)
            self._behind.update(chunk.positions)
            ended = chunk.ended
        self._behind = {}
        for stream, chain in self.chains.items():
            chain.seen = max(chain.seen, reach[stream])  # though the newest may have expired meanwhile
            chain.verified = max(chain.verified, chain.seen)

    def _show_missed(self, message: Stored) -> None:
        chain = self.chains[message.stream]
        if chain.missed(message):
            chain.note(message)
            if self._sink.event(message, None):
                chain.show(message.seq)
