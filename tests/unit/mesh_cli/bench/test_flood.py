from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh_cli.bench.flood import Search


def rates_tried(search: Search, capacity: float, hopeless: float = float("inf")) -> list[float]:
    tried = []
    while (rate := search.rate) is not None:
        tried.append(rate)
        search.note(rate, is_enough=rate <= capacity, is_hopeless=rate > hopeless)
    return tried


def test_rates_double_and_then_halve_the_distance() -> None:
    assert rates_tried(Search(16, 1_000, halvings=3), capacity=100) == [16, 32, 64, 128, 256, 96, 112, 104]


def test_what_is_hopeless_needs_no_second_one() -> None:
    assert rates_tried(Search(16, 1_000, halvings=2), capacity=100, hopeless=120) == [16, 32, 64, 128, 96, 112]


def test_one_rate_that_the_machine_spoiled_does_not_end_the_search() -> None:
    search = Search(16, 200, halvings=2)
    for rate, is_enough in [(16, True), (32, False), (64, True), (128, True)]:
        assert search.rate == rate
        search.note(rate, is_enough=is_enough)
    assert search.rate is None


def test_the_most_is_not_passed() -> None:
    assert rates_tried(Search(16, 100), capacity=1e9) == [16, 32, 64]


@given(st.floats(1, 20_000), st.booleans())
def test_what_is_found_is_close_to_the_capacity(capacity: float, is_plain: bool) -> None:
    search = Search(16, 20_000, halvings=4)
    tried = rates_tried(search, capacity, hopeless=capacity if is_plain else float("inf"))
    assert len(tried) <= 17
    best = max((rate for rate in tried if rate <= capacity), default=0.0)
    assert capacity - best <= max(1.0, capacity / 16) or best * 2 > 20_000
