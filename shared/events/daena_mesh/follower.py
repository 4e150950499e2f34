"""Following patterns of subjects through live messages and the log, so that nothing is lost, doubled or reordered.

What a live subscription delivers is a hint; the log is the truth. A follower subscribes, asks the leaders where they
stand, and from then on shows each live message that fits on what was shown before. One that does not fit, a reconnect
and the audit make it read the log first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Literal, Protocol

from daena_mesh.audits import Looks
from daena_mesh.chain import Chain, Hold, Verdict
from daena_mesh.connection import State, Subscription
from daena_mesh.cursors import Cursor, Positions
from daena_mesh.errors import MeshError, MeshUnavailable
from daena_mesh.healing import Healing, lost_by
from daena_mesh.layout import LETTERS, RECORDS, epoch_subject
from daena_mesh.log import Log
from daena_mesh.stored import Stored, read_live
from daena_mesh.subjects import covers
from daena_mesh.want import Filters

GapReason = Literal["reset", "expired"]

_LATE_INTEREST_S = (0.3, 1.7)


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
        """Everything up to the heads was shown, of all streams whose leaders answer."""


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
        *("chains", "connects", "filters", "heard", "is_live", "patterns"),
        *("_healing", "_hold", "_log", "_looking", "_short_way", "_since", "_sink", "_streams"),
        *("_subscriptions", "_waiting"),
    )

    def __init__(self, log: Log, patterns: Sequence[str], sink: Sink, since: Positions | None = None) -> None:
        """``patterns`` are subjects with wildcards. A stream that ``since`` does not name starts live."""
        self.patterns = tuple(patterns)
        self.filters = log.layout.split(patterns)
        self.chains = {stream: Chain(whole=">" in own) for stream, own in self.filters.items()}
        self.heard: Mapping[str, Chain] = self.chains
        """Those of streams whose leaders answered when it looked where they stand. It shows nothing of the others: when
        their leaders answer again, the log has what there was."""
        self._log = log
        self._sink = sink
        self._since: Positions | None = since or Positions()
        self._streams = _lines(tuple(self.filters))
        self._subscriptions: list[Subscription] = []
        self._hold: Hold | None = Hold()
        self._short_way: ShortWay | None = None
        self.connects = 0
        """The connection on which it learned where the streams stand; on a later one something may have been missed."""
        self._healing: Healing | None = None
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

    @property
    def silent(self) -> tuple[str, ...]:
        """The streams that are left out because their leaders do not answer."""
        return tuple(stream for stream in self.chains if stream not in self.heard)

    @property
    def heard_filters(self) -> Filters:
        """For each stream that is heard the patterns that are followed."""
        return {stream: self.filters[stream] for stream in self.heard}

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
        elif not self.take(message):
            self._log.heals["gap"] += 1
            self.hold = Hold()
            self.hold.add(message)

    def _is_owned(self, message: Stored) -> bool:
        """Whether the stream it comes from is the one that owns its subject; another could be anybody's."""
        try:
            subject = message.subject.decode()
            return subject == epoch_subject(message.stream) or self._log.layout.stream_of(subject) == message.stream
        except (MeshError, UnicodeDecodeError):
            return False

    def take(self, message: Stored) -> bool:
        """Show a live message if it fits on; False if something before it is missing, and is about to be read."""
        chain = self.heard.get(message.stream)
        if chain is None:
            return True
        verdict = chain.judge(message)
        if verdict is Verdict.SHOW:
            chain.note(message)
            if self._sink.event(message, chain.position):
                chain.show(message.seq)
        elif verdict is Verdict.GAP:
            self._heal().behind[message.stream] = chain.heal_from(message)
            chain.reach = max(chain.reach, message.seq)
        return verdict is not Verdict.GAP

    # -- healing ------------------------------------------------------------------------------------------------

    def _heal(self) -> Healing:
        if self._healing is None:
            since, self._since = self._since, None
            self._healing = Healing(self, self._log, self._sink, since)
        return self._healing

    def can_go_without(self, silent: AbstractSet[str]) -> bool:
        """Whether it may show the others while the leaders of ``silent`` streams do not answer.

        Records do not wait for signals. Signals wait for records, which may say who is allowed to see them.
        """
        is_placed = all(self.chains[stream].epoch for stream in silent)  # else it could not say where it stands there
        return not silent or (RECORDS not in silent and is_placed and len(silent) < len(self.chains))

    def healed(self) -> None:
        """`Healing` is done: it is live."""
        self._healing = None
        self.is_live = True
        for waiting in self._waiting or ():
            if not waiting.done():
                waiting.set_result(None)
        self._waiting = None
        self._sink.healed()
        if self._log.connection.is_clustered and self._looking is None:
            self._looking = asyncio.create_task(self._look_again())

    def renewed(self) -> None:
        """What comes from now on comes over another connection; `disturbed` heals, once that is ready."""
        if self._healing is not None:
            self._healing.is_oriented = False
        self._log.heals["reconnect"] += self.hold is None
        self.hold = Hold()  # what was held may be of another life of its stream; the log has what is still there

    def disturbed(self) -> None:
        """After a reconnect, or with a new epoch, only the log knows what was missed; it can be asked by who is led."""
        if not self.can_go_without(self.chains.keys() - self._log.led):
            if self._log.connection.state == "degraded":
                self._sink.degraded()  # of more than before, or of less
            return
        if self.hold is None:
            self._log.heals["reconnect"] += 1
            self.hold = Hold()
        self._heal().is_oriented = False

    def state_changed(self, state: State) -> None:
        """The log is cut off, or there again."""
        if state == "degraded":
            self._sink.degraded()
        elif state == "connected" and self.hold is None:
            self._sink.healed()
        elif state == "closed":
            self.stop()

    async def audit(self) -> None:
        """Find a loss that no later message reveals, by asking the leaders; raises `MeshUnavailable`."""
        if self.hold is None:
            _, looks = await self._log.audits.ask(self)
            self.found(looks)

    def found(self, looks: Looks) -> None:
        """Take what an audit found out: read what was lost. While the log is read already the next audit will tell."""
        if self.hold is None and self._subscriptions:
            lost = lost_by(looks, self.heard)
            if lost:
                self._log.heals["audit"] += 1
                self.hold = Hold()
                self._heal().behind = lost

    async def _look_again(self) -> None:
        """In a cluster, interest may become known to another node later than a flush returns."""
        for pause in _LATE_INTEREST_S:
            await asyncio.sleep(pause)
            with contextlib.suppress(MeshUnavailable):
                await self.audit()
        self._looking = None
