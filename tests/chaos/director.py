"""A run: load and spectators, one act after the other, and at the end everything is held against the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tests.chaos.checker import Finding, check
from tests.chaos.faults.fault import Fault, Scene
from tests.chaos.ledger import Track, View
from tests.chaos.load import Amounts, Load
from tests.chaos.report import p99
from tests.chaos.spectators import Spectators
from tests.chaos.stage import Stage
from tests.support.deadlines import eventually

WARM_UP_S, CALM_S = 4.0, 3.0
SAMPLE_S = 0.5
_STALE_S = 1.0


@dataclass
class Sample:
    """How it was at one moment."""

    at: float
    acked: int
    shown: int
    away: int
    stalest: float
    load: float


@dataclass
class Act:
    """One fault, or some at once, and what came of it."""

    name: str
    hits: str
    begun: float
    lifted: float
    ended: float
    is_settled: bool
    resumed: list[float] = field(default_factory=list)
    """For each client the longest time for which it lacked an acknowledged record, or was not well, in seconds."""
    slowest: str = ""
    """What the client follows that took longest."""
    without_signals: float = 0.0
    """For how long somebody was not connected, or was told that signals may be missing, in seconds."""
    write_stall: float = 0.0
    api_stall: float = 0.0
    may_tell: bool = False
    outage: float = 0.0
    """For how long no server was left."""


@dataclass
class Outcome:
    """All that a report needs; times are in seconds from the beginning of the run."""

    amounts: Amounts
    seed: int
    acts: list[Act] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    acked: int = 0
    shown: int = 0
    seconds: float = 0.0
    dropped: int = 0
    unfit: int = 0
    log: int = 0


async def perform(
    folder: Path,
    acts: Sequence[Sequence[Fault]],
    amounts: Amounts,
    seed: int,
    tell: Callable[[str], None],
) -> Outcome:
    """Do every act, and check."""
    chance = random.Random(seed)
    outcome = Outcome(amounts, seed)
    async with Stage(folder) as stage:
        limits = [name for name, has in (("namespaces", stage.network), ("disks", stage.disks)) if not has]
        tell(f"the cluster runs{', without ' + ' and '.join(limits) if limits else ''}")
        await stage.all_copies()
        load = Load(stage, amounts)
        spectators = Spectators([edge.port for edge in stage.cluster.edges], load.seats(), load.books)
        try:
            await spectators.come()
            spectators.owe_from_now()
            tell(f"{len(spectators.members)} clients are in")
            await _play(Scene(stage, spectators, chance), load, acts, outcome, tell)
            await _check(stage, load, spectators, outcome)
        finally:
            spectators.disperse()
            await asyncio.sleep(0.2)
    return outcome


async def _play(
    scene: Scene, load: Load, acts: Sequence[Sequence[Fault]], outcome: Outcome, tell: Callable[[str], None]
) -> None:
    watch = _Watch(load, scene.spectators, outcome)
    async with load.run(), watch.sampling():
        await asyncio.sleep(WARM_UP_S)
        tell(f"{watch.rate():,.0f} events/s are acknowledged, {watch.rate('shown'):,.0f}/s shown")
        for faults in acts:
            possible = [fault for fault in faults if fault.can(scene.stage)]
            if len(possible) < len(faults):
                outcome.skipped.append(" and ".join(fault.name for fault in faults))
                continue
            act = await _act(scene, possible, watch)
            outcome.acts.append(act)
            tell(_line(act))
            if not act.is_settled:
                tell(f"not settled in time: {watch.state()}")
                break
        await asyncio.sleep(CALM_S)
    with contextlib.suppress(AssertionError):  # what nobody ever saw is found by the checker
        await eventually(lambda: watch.stalest() == 0, within_s=30)
    outcome.seconds = time.monotonic() - watch.begun


async def _act(scene: Scene, faults: Sequence[Fault], watch: _Watch) -> Act:
    watch.begin()
    begun = time.monotonic()
    lasted = await asyncio.gather(*(_happen(fault, scene) for fault in faults))
    lifted = time.monotonic()
    settled = await watch.settled(scene.stage.all_copies)
    ended = time.monotonic()
    await asyncio.sleep(CALM_S)
    return Act(
        name=" and ".join(fault.name for fault in faults),
        hits="; ".join(", ".join(fault.said) for fault in faults if fault.said),
        begun=begun - watch.begun,
        lifted=lifted - watch.begun,
        ended=ended - watch.begun,
        is_settled=settled,
        resumed=watch.longest,
        slowest=watch.slowest(),
        without_signals=watch.without_signals,
        write_stall=max((s.seconds for s in watch.load.stalls if s.at + s.seconds >= begun), default=0.0),
        api_stall=max((s.seconds for s in watch.load.api_stalls if s.at + s.seconds >= begun), default=0.0),
        may_tell=any(fault.may_tell for fault in faults),
        outage=max((seconds for fault, seconds in zip(faults, lasted, strict=True) if fault.is_outage), default=0.0),
    )


async def _happen(fault: Fault, scene: Scene) -> float:
    """Strike, and lift once it was there for long enough: another one may wait for that. Gives how long it took."""
    begun = time.monotonic()
    await fault.strike(scene)
    await asyncio.sleep(fault.hold_s)
    await fault.lift(scene)
    return time.monotonic() - begun


class _Watch:
    """Looks on twice a second."""

    def __init__(self, load: Load, spectators: Spectators, outcome: Outcome) -> None:
        self.load = load
        self.begun = time.monotonic()
        self.longest: list[float] = []
        self.without_signals = 0.0
        self._spectators = spectators
        self._outcome = outcome

    @contextlib.asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Take samples during a block."""
        self.begun = time.monotonic()
        self.begin()
        task = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def begin(self) -> None:
        """Forget how long anybody had to wait."""
        self.longest = [0.0] * len(self._spectators.members)
        self.without_signals = 0.0

    def stalest(self) -> float:
        """How long the client lacks something that lacks it longest."""
        return max(self._spectators.staleness(time.monotonic(), self.load.is_record), default=0.0)

    def slowest(self) -> str:
        """What the client follows that had to wait longest."""
        longest = max(self.longest, default=0.0)
        return self._spectators.spectators[self.longest.index(longest)].path if longest else ""

    def rate(self, of: str = "acked") -> float:
        """How many a second lately."""
        samples = self._outcome.samples[-7:]
        if len(samples) < 2:
            return 0.0
        return float(getattr(samples[-1], of) - getattr(samples[0], of)) / (samples[-1].at - samples[0].at)

    def state(self) -> str:
        """How it is."""
        (seconds, told), away = self.load.longest(), self._spectators.away()
        written = f"; {told}" if seconds >= _STALE_S else ""
        return f"{away} clients are away, the longest lacks something for {self.stalest():.1f} s{written}"

    async def settled(self, is_whole: Callable[[], Awaitable[None]]) -> bool:
        """Whether everything was well again in time."""
        try:
            await is_whole()
            await eventually(self._is_well, within_s=60)
        except AssertionError:
            return False
        return True

    def _is_well(self) -> bool:
        slow = max(self.stalest(), self.load.longest()[0])
        is_heard = self._spectators.deafness(time.monotonic()) == 0
        return is_heard and not self._spectators.away() and slow < _STALE_S

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            now = time.monotonic()
            stale = self._spectators.staleness(now, self.load.is_record)
            self.longest = [
                max(of_one) for of_one in zip(self.longest, stale, self._spectators.illness(now), strict=True)
            ]
            self.without_signals = max(self.without_signals, self._spectators.deafness(now))
            self._outcome.samples.append(
                Sample(
                    at=now - self.begun,
                    acked=self.load.acked,
                    shown=self._spectators.shown,
                    away=self._spectators.away(),
                    stalest=max(stale, default=0.0),
                    load=os.getloadavg()[0],
                )
            )


async def _check(stage: Stage, load: Load, spectators: Spectators, outcome: Outcome) -> None:
    views = [*spectators.views(), *await _log(stage, load, is_whole=not any(act.may_tell for act in outcome.acts))]
    for view in views:
        outcome.findings += check(load.books[view.subject], view, is_ordered=load.is_ordered(view.subject))
    outcome.refused = load.refused
    outcome.acked = sum(len(book.acked) for book in load.books.values())
    outcome.shown = spectators.shown
    outcome.dropped = sum(spectator.dropped for spectator in spectators.spectators)
    outcome.unfit = sum(spectator.unfit for spectator in spectators.spectators)
    outcome.log = sum(1 for view in views if view.onlooker == "the log" for _ in view.track.items())


async def _log(stage: Stage, load: Load, *, is_whole: bool) -> list[View]:
    """What the log itself has of RECORDS, read by a consumer of nats-py; where it is not whole, from its beginning."""
    tracks = {subject: Track() for subject in load.books if load.is_record(subject)}
    js = stage.operator.connection.client.jetstream(timeout=20)
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE, mem_storage=True, num_replicas=1
    )
    reading = await js.pull_subscribe("", stream="RECORDS", config=config)
    waiting = (await reading.consumer_info()).num_pending or 0
    while waiting > 0:
        try:
            messages = await reading.fetch(min(1_000, waiting), timeout=10)
        except nats.errors.TimeoutError:
            break
        for message in messages:
            if (track := tracks.get(message.subject)) is not None:
                content = _content(message.data)
                if content >= 0:
                    track.saw(content)
        waiting -= len(messages)
    await reading.unsubscribe()
    return [View("the log", subject, 0 if is_whole else _begin(track), track) for subject, track in tracks.items()]


def _begin(track: Track) -> int:
    return next((number for number in track.items() if isinstance(number, int)), 0)


def _content(body: bytes) -> int:
    content = msgspec.json.decode(body)["payload"].get("content", "")
    return int(content) if content.isdigit() else -1


def _line(act: Act) -> str:
    longest = f"{max(act.resumed, default=0.0):.1f} s{f' at {act.slowest}' if act.slowest else ''}"
    return (
        f"{act.name} ({act.hits}): resumed p99 {p99(act.resumed):.1f} s, max {longest}; "
        f"writes stalled {act.write_stall:.1f} s, through the API {act.api_stall:.1f} s; "
        f"whole again after {act.ended - act.begun:.0f} s"
    )
