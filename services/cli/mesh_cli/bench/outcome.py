"""What a bench found: medians over rounds, ratios, whether ours reached what it is to reach; as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from mesh_cli.bench.machine import Machine
from mesh_cli.bench.work import OURS, Figure, Target, Work


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One contender in one measure.

    Attributes:
        value: the median of ``rounds``.
        ratio: to the baseline's median; None for the baseline itself, and where there is none or it is 0.
    """

    contender: str
    value: float
    rounds: list[float]
    ratio: float | None = None


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """All contenders in one measure; ``target`` is what ours is to reach, and ``is_reached`` whether it did."""

    name: str
    unit: str
    rows: list[Row]
    target: str = ""
    is_reached: bool | None = None

    def value_of(self, contender: str) -> float | None:
        """Give a contender's median."""
        return next((row.value for row in self.rows if row.contender == contender), None)


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work that was done."""

    work: str
    about: str
    baseline: str
    measures: list[Measure]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    date: str
    rounds: int
    scale: float
    machine: Machine
    works: list[Done]
    notes: list[str]


def summarize(work: Work, figures: Iterable[Figure], scale: float = 1.0) -> Done:
    """Make medians, ratios and verdicts of the figures of all rounds; no verdicts at another scale than 1."""
    grouped: dict[tuple[str, str], dict[str, list[float]]] = {}
    for figure in figures:
        by_contender = grouped.setdefault((figure.measure, figure.unit), {})
        by_contender.setdefault(figure.contender, []).append(figure.value)
    measures = [_measure(work, name, unit, by_contender, scale) for (name, unit), by_contender in grouped.items()]
    return Done(work=work.name, about=work.about, baseline=work.baseline, measures=measures)


def _measure(work: Work, name: str, unit: str, rounds: dict[str, list[float]], scale: float) -> Measure:
    medians = {contender: median(values) for contender, values in rounds.items()}
    base = medians.get(work.baseline)
    rows = [
        Row(
            contender=contender,
            value=medians[contender],
            rounds=values,
            ratio=medians[contender] / base if base and contender != work.baseline else None,
        )
        for contender, values in rounds.items()
    ]
    target = next((target for target in work.targets if target.measure == name), None)
    if target is None:
        return Measure(name=name, unit=unit, rows=rows)
    reached = _is_reached(target, medians.get(OURS), base) if scale == 1 else None
    return Measure(name=name, unit=unit, rows=rows, target=_words(target, work.baseline), is_reached=reached)


def _is_reached(target: Target, ours: float | None, base: float | None) -> bool | None:
    if ours is None or ours <= 0 or (target.times_baseline and not base):
        return None
    unit = base if target.times_baseline and base else 1.0
    above = target.at_least is None or ours >= target.at_least * unit
    below = target.at_most is None or ours <= target.at_most * unit
    return above and below


def _words(target: Target, baseline: str) -> str:
    times = f" × {baseline}" if target.times_baseline else ""
    parts: Sequence[tuple[str, float | None]] = (("≥", target.at_least), ("≤", target.at_most))
    return ", ".join(f"{sign} {bound:,.10g}{times}" for sign, bound in parts if bound is not None)
