from __future__ import annotations

import pytest

from mesh_cli.bench.harness import Bench
from mesh_cli.bench.outcome import summarize
from mesh_cli.bench.work import Figure, Target, Work


async def nothing(_bench: Bench) -> list[Figure]:
    return []


def work(*targets: Target) -> Work:
    return Work(
        name="fanout", about="…", contenders=("ours", "limit"), baseline="limit", run=nothing, targets=tuple(targets)
    )


def figures(measure: str = "CPU", unit: str = "µs", **values: list[float]) -> list[Figure]:
    return [
        Figure(contender=contender, measure=measure, value=value, unit=unit)
        for contender, rounds in values.items()
        for value in rounds
    ]


def test_the_median_of_the_rounds_counts_and_all_are_kept() -> None:
    (measure,) = summarize(work(), figures(ours=[6.0, 4.0, 90.0], limit=[4.0, 3.0, 5.0])).measures
    assert measure.value_of("ours") == 6.0
    assert [row.rounds for row in measure.rows] == [[6.0, 4.0, 90.0], [4.0, 3.0, 5.0]]
    assert [row.ratio for row in measure.rows] == [1.5, None]
    assert measure.value_of("naive") is None


def test_measures_stay_apart() -> None:
    found = summarize(work(), figures(ours=[1.0]) + figures("p99", "ms", ours=[2.0])).measures
    assert [(measure.name, measure.unit, measure.value_of("ours")) for measure in found] == [
        ("CPU", "µs", 1.0),
        ("p99", "ms", 2.0),
    ]


@pytest.mark.parametrize(
    ("target", "ours", "is_reached", "words"),
    [
        (Target(measure="CPU", at_most=1.15, times_baseline=True), 4.6, True, "≤ 1.15 × limit"),
        (Target(measure="CPU", at_most=1.15, times_baseline=True), 4.7, False, "≤ 1.15 × limit"),
        (Target(measure="CPU", at_most=10), 10.0, True, "≤ 10"),
        (Target(measure="CPU", at_most=10), 10.1, False, "≤ 10"),
        (Target(measure="CPU", at_least=2_400_000), 2_399_999.0, False, "≥ 2,400,000"),
        (Target(measure="CPU", at_least=0.85, times_baseline=True), 3.5, True, "≥ 0.85 × limit"),
        (Target(measure="CPU", at_least=0.85, times_baseline=True), 3.3, False, "≥ 0.85 × limit"),
        (Target(measure="another", at_most=1), 10.0, None, ""),
    ],
)
def test_a_target_is_reached_or_missed(target: Target, ours: float, is_reached: bool | None, words: str) -> None:
    (measure,) = summarize(work(target), figures(ours=[ours], limit=[4.0])).measures
    assert (measure.is_reached, measure.target) == (is_reached, words)


def test_there_is_no_verdict_without_the_baseline_or_at_another_scale() -> None:
    relative, absolute = (
        Target(measure="CPU", at_most=1.15, times_baseline=True),
        Target(measure="CPU", at_most=10),
    )
    assert summarize(work(relative), figures(ours=[4.0])).measures[0].is_reached is None
    assert summarize(work(absolute), figures(limit=[4.0])).measures[0].is_reached is None
    assert summarize(work(absolute), figures(ours=[4.0]), 0.05).measures[0].is_reached is None


def test_a_baseline_of_nothing_has_no_ratios() -> None:
    (measure,) = summarize(work(), figures(ours=[4.0], limit=[0.0])).measures
    assert [row.ratio for row in measure.rows] == [None, None]
