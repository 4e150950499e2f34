"""What tokens cost is told by pairs: what else a machine does falls on both of a pair."""

from __future__ import annotations

import pytest

from mesh_cli.bench.trust import OPEN, paired
from mesh_cli.bench.work import OURS


def test_what_slows_a_pair_down_as_a_whole_does_not_count() -> None:
    quiet, busy = [7.0, 7.0], [14.0, 14.0, 14.0]
    found = paired({OURS: [cost * 1.1 for cost in (*quiet, *busy)], OPEN: [*quiet, *busy]})
    assert found[OURS] / found[OPEN] == pytest.approx(1.1)


def test_the_ratio_is_that_of_the_pair_in_the_middle() -> None:
    assert paired({OURS: [6.0, 12.0, 99.0], OPEN: [5.0, 10.0, 20.0]}) == {OURS: pytest.approx(12.0), OPEN: 10.0}


def test_one_that_is_alone_has_its_median() -> None:
    assert paired({OURS: [3.0, 1.0, 2.0]}) == {OURS: 2.0}
