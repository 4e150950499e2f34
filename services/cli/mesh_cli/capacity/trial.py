"""What the simulations say of works that the costs were not fitted to, held against what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mesh_cli.bench.flood import RATE
from mesh_cli.bench.outcome import Outcome
from mesh_cli.bench.rest import CALLERS
from mesh_cli.capacity.costs import CPU, LATE, Costs, fitted, measured, most_events
from mesh_cli.capacity.edge import Load, simulate
from mesh_cli.capacity.stream import write

TOLERANCE = 0.2
_DELIVERING = (("fanout", 1_000, 1, 50.0), ("crowd", 10_000, 1, 5.0), ("direct", 1_000, 1_000, 8_000.0))
"""Sockets, topics, and events a second."""
_WAITED_FOR_EACH = 2
"""A chat call waits for its message, then for its question."""


@dataclass(frozen=True)
class Trial:
    """One figure: as simulated, and as measured."""

    work: str
    measure: str
    unit: str
    simulated: float
    measured: float

    @property
    def error(self) -> float:
        """How far off the simulation is: 0.1 is 10 % too much."""
        return self.simulated / self.measured - 1

    @property
    def holds(self) -> bool:
        """Whether it is within what is asked for."""
        return abs(self.error) <= TOLERANCE


def trials(outcome: Outcome) -> list[Trial]:
    """Fit costs to an outcome, and hold what follows from them against what else it has."""
    costs = fitted(outcome)
    done = {work.work for work in outcome.works}
    figures = [*_deliveries(costs), *_latencies(costs, outcome), *_writes(costs, outcome)]
    return [Trial(*figure, measured(outcome, figure[0], figure[1])) for figure in figures if figure[0] in done]


def trials_at(other: Outcome, costs: Costs) -> list[Trial]:
    """Hold what costs of the full scale say of processor time against an outcome at another scale."""
    found = []
    for work, sockets, topics, rate in _DELIVERING:
        some, scale = round(sockets * other.scale), other.scale
        if topics > 1:
            topics, rate = some, rate * scale  # noqa: PLW2901 - as the bench does
        run = simulate(costs.steps(some, topics), costs.bench_path, Load(sockets=some, topics=topics, rate=rate))
        found.append(Trial(work, CPU, "µs", run.delivery_us, measured(other, work, CPU)))
    return found


def _deliveries(costs: Costs) -> Iterator[tuple[str, str, str, float]]:
    for work, sockets, topics, rate in _DELIVERING:
        load = Load(sockets=sockets, topics=topics, rate=rate, seconds=5)
        run = simulate(costs.steps(sockets, topics), costs.bench_path, load)
        if work == "crowd":  # the others' are what the costs were fitted to
            yield work, CPU, "µs", run.delivery_us
        yield work, LATE, "ms", run.delay_ms(0.99)
    yield "flood", RATE, "/s", 1_000 * most_events(costs.steps(1_000, 1), costs.bench_path, 1_000)
    run = simulate(costs.steps(1_000, 1), costs.bench_path, Load(sockets=1_000, topics=1, rate=50))
    yield "stalled", CPU, "µs", run.delivery_us
    yield "stalled", LATE, "ms", run.delay_ms(0.99)


def _latencies(costs: Costs, outcome: Outcome) -> Iterator[tuple[str, str, str, float]]:
    """One event at a time. Bare NATS is two hops, to an edge and on to a socket it is three."""
    steps, hop_us = costs.steps(1, 1), costs.path_us / 2
    turn_us = steps.turn_us + costs.event_us + steps.write_us  # between two events all of it left the caches
    yield "latency", "signals: p50", "ms", (costs.path_us + costs.append_us + hop_us + turn_us) / 1e3
    stored_us = measured(outcome, "latency", "records: p50", "bare") * 1e3
    yield "latency", "records: p50", "ms", (stored_us + hop_us + turn_us) / 1e3


def _writes(costs: Costs, outcome: Outcome) -> Iterator[tuple[str, str, str, float]]:
    for how, stream in [("default sync", costs.signals), ("sync always", costs.records)]:
        work_us = measured(outcome, "rest", f"{how}: CPU a call")
        written = write(stream, writers=CALLERS, appends=_WAITED_FOR_EACH, work_us=work_us)
        yield "rest", how, "/s", written.a_second
        yield "rest", f"{how}: p50", "ms", written.p50_ms
