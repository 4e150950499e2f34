from __future__ import annotations

from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from mesh_cli.bench.document import BEGIN, END, newest, with_figures
from mesh_cli.bench.machine import CannotBench, Machine
from mesh_cli.bench.outcome import Done, Measure, Outcome, Row
from mesh_cli.bench.table import for_document, for_terminal, number_of

OUTCOME = Outcome(
    date="2026-11-23",
    rounds=3,
    scale=1.0,
    machine=Machine(
        cpu="A Fast One", cores=2, memory_mib=4_096, kernel="6.1", python="3.11.7", versions={"nats-server": "2.15.1"}
    ),
    works=[
        Done(
            work="fanout",
            about="One topic.",
            baseline="limit",
            measures=[
                Measure(
                    name="CPU a delivery",
                    unit="µs",
                    rows=[
                        Row(contender="ours", value=4.9, rounds=[4.9, 5.0, 4.8], ratio=1.14),
                        Row(contender="limit", value=4.3, rounds=[4.3, 4.2, 4.4]),
                    ],
                    target="≤ 1.15 × limit",
                    is_reached=True,
                )
            ],
        )
    ],
    notes=["fanout: something was strange"],
)


def test_a_terminal_shows_figures_ratios_verdicts_and_notes() -> None:
    console = Console(file=StringIO(), width=120)
    console.print(for_terminal(OUTCOME))
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    for words in ("fanout: One topic.", "4.90 µs", "1.14", "≤ 1.15 × limit: reached", "something was strange"):
        assert words in shown


def test_a_document_shows_the_machine_and_a_line_for_each_contender() -> None:
    lines = for_document(OUTCOME).splitlines()
    assert lines[0].startswith("2026-11-23, 3 rounds, scale 1: A Fast One, 2 cores")
    assert "nats-server 2.15.1" in lines[1]
    assert (
        "| `fanout` | CPU a delivery | ours | 4.90 µs | 4.90, 5.00, 4.80 | 1.14 × limit | ≤ 1.15 × limit: reached |"
        in lines
    )
    assert "| `fanout` | CPU a delivery | limit | 4.30 µs | 4.30, 4.20, 4.40 |  |  |" in lines
    assert lines[-1] == "- fanout: something was strange"


@pytest.mark.parametrize(
    ("value", "words"),
    [(2_431_017.3, "2,431,017"), (999.4, "999"), (123.0, "123"), (12.34, "12.3"), (0.0123, "0.0123"), (0.0, "0.00")],
)
def test_numbers_have_three_digits_that_count(value: float, words: str) -> None:
    assert number_of(value) == words


def test_figures_are_put_between_the_marks(tmp_path: Path) -> None:
    result = tmp_path / "2026-11-23.json"
    result.write_bytes(msgspec.json.encode(OUTCOME))
    (tmp_path / "2026-11-22.json").write_bytes(b"{}")
    assert newest(tmp_path) == result
    text = with_figures(f"before\n{BEGIN}old\n{END}after\n", result)
    assert text.startswith(f"before\n{BEGIN}\n2026-11-23, 3 rounds")
    assert text.endswith(f"`bench/results/2026-11-23.json`.\n\n{END}after\n")
    assert "old" not in text
    assert with_figures(text, result) == text


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotBench, match="there are no results in"):
        newest(tmp_path)
    (tmp_path / "1.json").write_bytes(msgspec.json.encode(OUTCOME))
    with pytest.raises(CannotBench, match="no marks"):
        with_figures("nothing", tmp_path / "1.json")
