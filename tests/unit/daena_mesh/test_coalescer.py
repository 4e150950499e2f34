from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.coalescer import Coalescer

GAPS = st.lists(st.floats(0, 0.3, allow_subnormal=False), max_size=200)


def play(gaps: list[float], per_s: float) -> tuple[list[tuple[float, int]], Coalescer[int], float]:
    """Offer 0, 1, 2, … with these pauses between, take whatever is due as soon as it is; give when each was taken."""
    coalescer: Coalescer[int] = Coalescer(per_s)
    taken: list[tuple[float, int]] = []
    at = 0.0

    def take_until(end: float) -> None:
        while (due_at := coalescer.due_at) is not None and due_at <= end:
            moment = max(at, due_at)
            found = coalescer.take(moment)
            assert found is not None
            taken.append((moment, found[0]))

    for number, gap in enumerate(gaps):
        take_until(at + gap)
        at += gap
        coalescer.offer(number)
        take_until(at)
    return taken, coalescer, at


@pytest.mark.promise("P-AGENT-3")
@given(GAPS, st.floats(1, 100))
def test_the_first_goes_at_once_the_last_always_and_between_them_no_more_than_the_rate(
    gaps: list[float], per_s: float
) -> None:
    taken, coalescer, at = play(gaps, per_s)
    moments = [moment for moment, _ in taken]
    if gaps:
        assert taken[0] == (gaps[0], 0)
        last = coalescer.last(at)
        assert [*taken, *([(at, last[0])] if last else [])][-1][1] == len(gaps) - 1
        assert len(taken) + bool(last) + coalescer.coalesced == len(gaps)
    for earlier, later in itertools.pairwise(moments):
        assert later - earlier >= 1 / per_s - 1e-9
    for moment in moments:
        within = [other for other in moments if moment <= other < moment + 1 - 1e-6]
        assert len(within) <= per_s + 1
    numbers = [number for _, number in taken]
    assert numbers == sorted(set(numbers))


def test_what_is_held_is_the_newest_and_goes_no_sooner_than_it_may() -> None:
    coalescer: Coalescer[str | None] = Coalescer(10)
    assert not coalescer.due_at
    assert coalescer.take(0) is None
    coalescer.offer("a")
    assert coalescer.take(5) == ("a",)
    coalescer.offer("b")
    coalescer.offer(None)
    assert (coalescer.due_at, coalescer.coalesced) == (5.1, 1)
    assert coalescer.take(5.05) is None
    assert coalescer.take(5.1) == (None,)
    coalescer.offer("d")
    assert coalescer.last(5.1) == ("d",)
    assert coalescer.last(5.1) is None
    assert coalescer.due_at is None


@pytest.mark.parametrize("per_s", [0, -1, float("nan")])
def test_a_rate_at_which_nothing_would_go_is_refused(per_s: float) -> None:
    with pytest.raises(ValueError, match="none at all"):
        Coalescer(per_s)
