"""`mesh bench latency`, `rest` and `emit` at a fiftieth of their size: that they work, not what they find."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_cli.bench import emit, latency, rest
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.machine import Cores
from mesh_cli.bench.work import Work
from mesh_cli.bench.works import WORKS

SCALE = 0.02

pytestmark = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="mesh bench needs Linux")


@pytest.mark.parametrize("work", [latency.WORK, rest.WORK, emit.WORK], ids=lambda work: work.name)
async def test_one_round_finds_a_figure_for_everybody_in_every_measure(tmp_path: Path, work: Work) -> None:
    assert WORKS[work.name] is work
    figures = await work.run(Bench(tmp_path, Cores.chosen(), scale=SCALE))
    found = {(figure.contender, figure.measure): figure.value for figure in figures}
    assert len(found) == len(figures)
    assert all(value > 0 for value in found.values())
    measures = {target.measure for target in work.targets} | {measure for _, measure in found}
    assert set(found) == {(contender, measure) for contender in work.contenders for measure in measures}


async def test_who_is_not_wanted_is_not_run(tmp_path: Path) -> None:
    figures = await latency.WORK.run(Bench(tmp_path, Cores.chosen(), scale=SCALE, against=["ours"]))
    assert {figure.contender for figure in figures} == {"ours"}
