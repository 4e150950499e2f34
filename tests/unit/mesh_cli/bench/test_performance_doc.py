"""docs/performance.md shows the newest figures, and every bench."""

from __future__ import annotations

import pytest
import typer.main

from mesh_cli.bench.document import newest, with_figures
from mesh_cli.bench.works import WORKS
from mesh_cli.main import commands
from tests.support.tracked import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"


def test_the_figures_are_those_of_the_newest_result() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == with_figures(text, newest(ROOT / "bench" / "results")), "run `make docs`"


@pytest.mark.parametrize("name", WORKS)
def test_every_bench_is_described(name: str) -> None:
    assert f"\n| `{name}` |" in DOCUMENT.read_text(encoding="utf-8").partition("## Who")[0]


def test_the_help_names_every_bench() -> None:
    (names, *_) = typer.main.get_command(commands).commands["bench"].params  # type: ignore[attr-defined]
    for name in WORKS:
        assert name in names.help
