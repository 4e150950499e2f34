"""A rate and a burst, by properties."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh_edge.token_bucket import BURST_S, TokenBucket

PAUSES = st.lists(st.floats(0, 3), min_size=1, max_size=200)
RATES = st.floats(0.1, 50)


@given(PAUSES, RATES)
def test_in_no_span_of_time_there_is_more_than_the_burst_and_what_came_since(pauses: list[float], rate: float) -> None:
    bucket, at, taken = TokenBucket(), 100.0, []
    for pause in pauses:
        at += pause
        if bucket.take(at, rate):
            taken.append(at)
    most = max(1.0, rate * BURST_S)
    for i, begin in enumerate(taken):
        for j in range(i, len(taken)):
            assert j - i + 1 <= most + (taken[j] - begin) * rate + 1e-6


@given(RATES)
def test_the_first_is_free_and_the_rate_itself_is_never_too_much(rate: float) -> None:
    bucket = TokenBucket()
    assert all(bucket.take(5.0 + i * 1.001 / rate, rate) for i in range(100))


def test_an_empty_one_fills_again() -> None:
    bucket = TokenBucket()
    assert sum(bucket.take(1.0, 5) for _ in range(100)) == 10
    assert not bucket.take(1.19, 5)
    assert bucket.take(1.21, 5)
    assert not bucket.take(1.21, 5)
