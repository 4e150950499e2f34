"""`mesh plan` as it is typed, and the document that shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mesh_cli.capacity.document import with_figures
from mesh_cli.capacity.kept import FROM
from mesh_cli.main import main
from tests.support.tracked import ROOT

RESULTS = ROOT / "bench" / "results"
OUTCOME = RESULTS / f"{FROM}.json"
SMALL = ["plan", "--sockets", "1000", "--events", "100"]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def test_the_document_shows_what_the_model_says() -> None:
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert text == with_figures(text, RESULTS), "run `make docs`"


def test_a_plan_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*SMALL) == 0
    shown = capsys.readouterr().out
    assert "1,000 sockets, 100 events a second, 10 readers of each" in shown
    for word in ["edges, a core each", "streams RECORDS", "NATS nodes", "routes", "the first one first"]:
        assert word in shown


def test_a_plan_for_programs_at_the_costs_of_an_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*SMALL, "--json", "--from", str(OUTCOME)) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["want"]["sockets"] == 1_000
    assert plan["edges"]["needed"] == 1
    assert plan["costs"]["from"] == FROM
    assert {wall["name"] for wall in plan["walls"]} >= {"writes of one RECORDS", "a reader of /ws/events"}


def test_a_trial_says_what_is_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "--trial", "--from", str(OUTCOME)) == 1
    assert "crowd" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan", "--trial"], "--trial needs --from"),
        (["plan", "--sockets", "5", "--readers", "6"], "more than the 5 sockets"),
        (["plan", "--from", "nowhere.json"], "no outcome of mesh bench"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert run(*arguments) > 0
    assert says in " ".join(capsys.readouterr().err.split())


def test_a_file_that_is_no_outcome_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "outcome.json").write_text("{}")
    assert run("plan", "--from", str(tmp_path / "outcome.json")) == 1
    assert "is no outcome" in " ".join(capsys.readouterr().err.split())
