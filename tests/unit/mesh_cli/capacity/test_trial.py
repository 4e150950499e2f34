"""The simulations say what was measured, of works that their costs were not fitted to."""

from __future__ import annotations

import msgspec
import pytest

from mesh_cli.bench.machine import CannotBench
from mesh_cli.capacity.command import read
from mesh_cli.capacity.costs import CPU, LATE, fitted, measured
from mesh_cli.capacity.document import at_another_scale
from mesh_cli.capacity.kept import FROM, KEPT
from mesh_cli.capacity.trial import TOLERANCE, Trial, trials
from tests.support.tracked import ROOT

RESULTS = ROOT / "bench" / "results"
OUTCOME = read(RESULTS / f"{FROM}.json")
TRIALS = trials(OUTCOME)

# `stalled` without a stalled reader is `fanout`, to which the costs are fitted, in the same run; see docs/scaling.md.
THE_MACHINE_DIFFERED = {("stalled", CPU)}


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: f"{trial.work}: {trial.measure}")
def test_a_simulated_figure_is_within_a_fifth_of_the_measured_one(trial: Trial) -> None:
    if (trial.work, trial.measure) in THE_MACHINE_DIFFERED:
        again = measured(OUTCOME, "fanout", trial.measure) / trial.measured
        assert abs(again - 1) > TOLERANCE, "the machine did not differ: this may be tried as all others"
    else:
        assert trial.holds, f"{trial.simulated:.4g} simulated, {trial.measured:.4g} measured"


def test_all_kinds_of_work_are_tried() -> None:
    assert {trial.work for trial in TRIALS} == {"fanout", "crowd", "direct", "flood", "stalled", "latency", "rest"}


def test_the_kept_costs_are_those_of_their_outcome() -> None:
    assert msgspec.structs.asdict(KEPT) == pytest.approx(msgspec.structs.asdict(fitted(OUTCOME)), rel=1e-3)


def test_an_outcome_without_a_work_is_refused_by_its_name() -> None:
    part = msgspec.structs.replace(OUTCOME, works=[work for work in OUTCOME.works if work.work != "emit"])
    with pytest.raises(CannotBench, match="no emit"):
        fitted(part)


def test_at_another_scale_few_events_share_a_turn_and_each_costs_more() -> None:
    found = {trial.work: trial for trial in at_another_scale(RESULTS / "scales", KEPT)}
    assert found["fanout"].holds
    assert found["direct"].holds
    assert found["direct"].simulated > 1.5 * measured(OUTCOME, "direct", CPU)
    assert not found["crowd"].holds, "it may be tried as the others: docs/scaling.md says that it is off"


def test_the_error_has_a_sign() -> None:
    assert Trial("fanout", LATE, "ms", simulated=8, measured=10).error == pytest.approx(-0.2)
    assert not Trial("fanout", LATE, "ms", simulated=12.1, measured=10).holds
