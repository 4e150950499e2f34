"""The short form of `make chaos`: a few faults, one after the other, under a small load."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.director import Outcome, perform
from tests.chaos.faults import all_faults
from tests.chaos.load import Amounts
from tests.chaos.report import write
from tests.support.deadlines import within

pytestmark = [pytest.mark.timeout(240)]

SHORT = ("kill a leader", "kill an edge", "kill an API")

TAKES = ("reach the limits of RECORDS", "delete RECORDS")
SMALL = Amounts(clients=120, rate=120, sessions=24, signals=4, spoken=2, asked=1)


@pytest.mark.promise("P-CLUSTER-1", "P-ONCE-1")
async def test_nothing_acknowledged_is_lost_doubled_or_reordered(tmp_path: Path) -> None:
    by_name = {fault.name: fault for fault in all_faults()}
    acts = [[by_name[name]] for name in SHORT]
    async with within(200):
        outcome = await perform(tmp_path, acts, replace(SMALL, again=5), seed=1, tell=print)
    assert outcome.findings == []
    assert outcome.refused == []
    assert [act.name for act in outcome.acts] == list(SHORT)
    assert all(act.is_settled for act in outcome.acts)
    assert outcome.acked > 500
    assert outcome.log > 500
    assert_everybody_saw(outcome)


def assert_everybody_saw(outcome: Outcome) -> None:
    """The checker is happy with nothing, too; this is not."""
    assert outcome.shown >= outcome.acked / 2


@pytest.mark.promise("P-GAP-1")
async def test_what_limits_and_people_take_is_told(tmp_path: Path) -> None:
    by_name = {fault.name: fault for fault in all_faults()}
    async with within(200):
        outcome = await perform(tmp_path, [[by_name[name]] for name in TAKES], SMALL, seed=1, tell=print)
    assert [act.name for act in outcome.acts] == list(TAKES)
    assert {finding.kind for finding in outcome.findings} == {"told"}
    assert outcome.refused == []
    assert_everybody_saw(outcome)
    report = write(outcome, tmp_path / "report", "chaos").read_text(encoding="utf-8")
    assert "| acknowledged and lost: 0 | 0 | reached |" in report
    assert "delete RECORDS" in (tmp_path / "report" / "chaos.svg").read_text(encoding="utf-8")
