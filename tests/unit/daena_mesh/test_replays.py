from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.replays import FEWEST, WORTH, choose
from daena_mesh.want import Want

RECORDS = "RECORDS"
HEAD = 1_000_000


def wants(*afters: int) -> list[Want]:
    return [Want({RECORDS: (f"chat.{i}.>",)}, {RECORDS: after}, {RECORDS: HEAD}) for i, after in enumerate(afters)]


def test_few_are_read_each_by_itself() -> None:
    assert choose(wants(*[HEAD - 1] * (FEWEST - 1)), lately=10_000) == set()
    assert choose(wants(*[HEAD - 1] * FEWEST), lately=0) == set(range(FEWEST))


def test_many_in_a_range_that_is_not_too_long_for_them_share() -> None:
    assert choose(wants(*[HEAD - 100 * WORTH] * 100), lately=0) == set(range(100))
    assert choose(wants(*[HEAD - 100 * WORTH - 1] * 100), lately=0) == set()
    assert choose(wants(*[HEAD - 100 * WORTH - 1] * 100), lately=101) == set(range(100)), "as many may still come"


def test_one_that_is_far_behind_goes_alone() -> None:
    assert choose(wants(0, *[HEAD - 20] * 50), lately=0) == set(range(1, 51))


@given(st.lists(st.integers(0, HEAD), max_size=60), st.integers(0, 500))
def test_whoever_is_chosen_is_near_enough_for_the_number_of_them(afters: list[int], lately: int) -> None:
    chosen = choose(wants(*afters), lately)
    assert not chosen or len(chosen) >= FEWEST
    farthest = max((HEAD - afters[i] for i in chosen), default=0)
    assert farthest <= max(len(chosen), lately) * WORTH
    assert all(HEAD - after >= farthest for i, after in enumerate(afters) if i not in chosen) or not chosen
