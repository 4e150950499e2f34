"""`flood`: how much one core delivers before it gets late."""

from __future__ import annotations

from dataclasses import dataclass

from mesh_cli.bench.contenders import EVERYBODY, NATS
from mesh_cli.bench.delivery import Delivery, delivering
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.machine import CannotBench
from mesh_cli.bench.work import Figure, Target, Work

RATE = "deliveries with p99 ≤ 50 ms"
MOST_DELAY_US = 50_000
_SOCKETS = 1_000
FIRST_RATE = 16.0
MOST_RATE = 20_000.0
STEP_S = 2.0
_SHORTEST_STEP_S = 0.25
_HALVINGS = 4
_TRIES = 2
_HOPELESS = 10


@dataclass(frozen=True, order=True)
class Step:
    """A rate that was tried."""

    deliveries_per_s: float
    p99_us: int
    load_share: float = 0.0

    @property
    def is_in_time(self) -> bool:
        """Whether events came soon enough."""
        return self.p99_us <= MOST_DELAY_US

    @property
    def is_hopeless(self) -> bool:
        """Whether they came so late that trying again is of no use."""
        return self.p99_us > _HOPELESS * MOST_DELAY_US


async def _run(bench: Bench) -> list[Figure]:
    figures: list[Figure] = []
    for name in filter(bench.wants, WORK.contenders):
        bench.tell(f"flood: {name}")
        with bench.forgiving("flood", name):
            async with delivering(bench, name, sockets=bench.sized(_SOCKETS), topics=1) as delivery:
                best = await _search(bench, delivery)
            delivery.note_bottleneck("flood", best.load_share)
            figures += [
                Figure(contender=name, measure=RATE, value=best.deliveries_per_s, unit="/s"),
                Figure(contender=name, measure="p99 of the delay there", value=best.p99_us / 1e3, unit="ms"),
            ]
    return figures


class Search:
    """Which rate to try next: doubled until it is too much, then half way between what is enough and what is not.

    A single rate that was too much may be the doing of something else on the machine, so the next one decides.
    """

    def __init__(self, first: float, most: float, halvings: int = _HALVINGS) -> None:
        self.rate: float | None = first
        """The next one to try; None when it is over."""
        self._most = most
        self._halvings = halvings
        self._enough = 0.0
        self._too_much = 0.0
        self._is_rising = True

    def note(self, rate: float, *, is_enough: bool, is_hopeless: bool = False) -> None:
        """Learn what came of the rate that was tried; ``is_hopeless``: there is no doubt that it was too much."""
        if self._is_rising:
            is_second = bool(self._too_much)
            if is_enough:
                self._enough, self._too_much = rate, 0.0
            else:
                self._too_much = self._too_much or rate
            self._is_rising = (is_enough or not (is_hopeless or is_second)) and 2 * rate <= self._most
            if self._is_rising:
                self.rate = 2 * rate
                return
        else:
            self._halvings -= 1
            if is_enough:
                self._enough = rate
            else:
                self._too_much = rate
        self.rate = (self._enough + self._too_much) / 2 if self._too_much and self._halvings else None


async def _search(bench: Bench, delivery: Delivery) -> Step:
    """Find the most deliveries a second that come in time."""
    best = Step(0.0, 0)
    search = Search(FIRST_RATE, max(FIRST_RATE, bench.sized(MOST_RATE)))
    while (rate := search.rate) is not None:
        step = await _try(bench, delivery, rate)
        if step is None:
            break
        bench.tell(
            f"flood: {rate:,.0f} a second: {step.deliveries_per_s:,.0f} deliveries/s, p99 {step.p99_us / 1e3:.1f} ms, "
            f"the load's core {step.load_share:.0%} busy"
        )
        if step.is_in_time:
            best = max(best, step)
        search.note(rate, is_enough=step.is_in_time, is_hopeless=step.is_hopeless)
    return best


async def _try(bench: Bench, delivery: Delivery, rate: float) -> Step | None:
    """Deliver at a rate for a while, again where it was only just too late; None where some events were lost."""
    seconds = max(_SHORTEST_STEP_S, STEP_S * min(1.0, bench.scale))
    for _ in range(_TRIES):
        try:
            delivered = await delivery.deliver(max(1, round(rate * seconds)), rate)
        except CannotBench as error:
            bench.note(f"flood, {delivery.contender.name}, at {rate:,.0f} events a second: {error}")
            return None
        rate_reached = delivered.report.events / delivered.published.seconds
        step = Step(rate_reached, delivered.report.p99_us, delivered.load_share)
        if step.is_in_time or step.is_hopeless:
            break
    return step


WORK = Work(
    name="flood",
    about="One topic, 1,000 sockets, and more and more events a second.",
    contenders=EVERYBODY,
    baseline=NATS,
    run=_run,
    targets=(Target(measure=RATE, at_least=2_400_000),),
)
