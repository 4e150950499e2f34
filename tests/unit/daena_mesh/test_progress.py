from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.progress import WINDOW_S, Progress, ProgressState

STEPS = st.lists(st.tuples(st.floats(0, 20, allow_subnormal=False), st.integers(0, 1_000)), max_size=300)


def test_how_far_how_fast_and_how_long_yet() -> None:
    progress = Progress(100, at=10.0)
    assert progress.state(10.0) == ProgressState(0, 100, None, None, None)
    assert progress.state(15.0) == ProgressState(0, 100, None, None, None)
    progress.advance(10, at=20.0)
    progress.note = "on it"
    assert progress.state(20.0) == ProgressState(10, 100, 1.0, 90.0, "on it")
    progress.advance(90, at=30.0)
    assert progress.state(30.0) == ProgressState(100, 100, 5.0, 0.0, "on it")
    progress.advance(5, at=30.0)
    assert progress.state(30.0).eta_s == 0.0


def test_the_first_moments_say_nothing_of_the_rate() -> None:
    progress = Progress(100, at=0.0)
    progress.advance(7, at=0.001)
    assert progress.state(0.4) == ProgressState(7, 100, None, None, None)
    assert progress.state(0.5).rate == 14
    progress.advance(93, at=0.002)
    assert progress.state(0.003) == ProgressState(100, 100, None, 0.0, None)


def test_what_was_long_ago_does_not_count() -> None:
    progress = Progress(10_000, at=0.0)
    for second in range(1, 100):
        progress.advance(1, at=float(second))
    for second in range(100, 140):
        progress.advance(10, at=float(second))
    assert progress.state(139.0).rate == pytest.approx(10, rel=0.05)
    assert progress.state(139.0 + 10 * WINDOW_S).rate < 1.2  # type: ignore[operator]


def test_without_a_total_nobody_knows_how_long() -> None:
    progress = Progress(None, at=0.0)
    progress.advance(3, at=2.0)
    assert progress.state(2.0) == ProgressState(3, None, 1.5, None, None)


@given(STEPS, st.none() | st.integers(0, 100_000))
def test_it_is_always_finite_and_bounded(steps: list[tuple[float, int]], total: int | None) -> None:
    at, done = 0.0, 0
    progress = Progress(total, at=at)
    for pause, n in steps:
        at += pause
        done += n
        progress.advance(n, at=at)
        state = progress.state(at)
        assert state.done == done
        assert state.rate is None or (math.isfinite(state.rate) and state.rate >= 0)
        assert state.eta_s is None or (math.isfinite(state.eta_s) and state.eta_s >= 0)
        assert len(progress._samples) <= WINDOW_S + 2


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, -math.inf, 2**60])
def test_what_is_no_amount_is_refused_and_changes_nothing(value: float) -> None:
    progress = Progress(5, at=0.0)
    with pytest.raises(ValueError, match="from 0 to"):
        progress.advance(value, at=1.0)
    with pytest.raises(ValueError, match="from 0 to"):
        Progress(value, at=0.0)
    assert progress.done == 0
