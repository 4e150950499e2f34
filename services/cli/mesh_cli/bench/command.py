"""`mesh bench`: runs the pieces of work in rounds, shows tables, and keeps the outcome."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from daena_mesh.ids import now
from mesh_cli.bench.compiler import find_compiler
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.machine import (
    CannotBench,
    Cores,
    check_platform,
    describe_machine,
    nats_server_version,
    on_core,
)
from mesh_cli.bench.outcome import Outcome, summarize
from mesh_cli.bench.table import for_terminal
from mesh_cli.bench.work import OURS, Figure, Work
from mesh_cli.bench.works import WORKS

_QUIET_LOAD = 0.5


async def bench(
    names: Sequence[str], *, rounds: int, scale: float, against: Sequence[str] | None, json: Path | None
) -> int:
    """Run ``names`` (all, where there is none) and show what was found.

    Args:
        names: pieces of work.
        rounds: how often each is done; the medians count.
        scale: 1 is the size that the figures are meant for.
        against: contenders beside ours; None: all.
        json: where to keep the outcome.

    Raises:
        CannotBench: an unknown name, something missing on this machine, or ours did not do its work.
    """
    check_platform()
    works = [_work(name) for name in names or WORKS]
    wanted = _contenders(works, against)
    find_compiler()
    if json is not None:
        _check_place(json)
    cores = Cores.chosen()
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder, on_core(cores.load):
        run = Bench(Path(folder), cores, scale=scale, against=wanted, tell=_tell)
        if not cores.are_two:
            run.note("one core was shared by everybody, so the load took time from what was measured")
        if (load := os.getloadavg()[0]) > _QUIET_LOAD:
            run.note(f"other programs kept this machine busy: its load average was {load:.1f} before the bench began")
        figures = await _all_rounds(run, works, rounds)
    outcome = Outcome(
        date=now()[:10],
        rounds=rounds,
        scale=scale,
        machine=describe_machine(**{"nats-server": nats_server_version()}),
        works=[summarize(work, figures[work.name], scale) for work in works],
        notes=run.notes,
    )
    Console().print(for_terminal(outcome))
    if json is not None:
        _keep(outcome, json)
    return 0


async def _all_rounds(run: Bench, works: Sequence[Work], rounds: int) -> dict[str, list[Figure]]:
    figures: dict[str, list[Figure]] = {work.name: [] for work in works}
    for number in range(1, rounds + 1):
        for work in works:
            _tell(f"round {number} of {rounds}, {work.name}: {work.about}")
            figures[work.name] += await work.run(run)
    return figures


def _tell(line: str) -> None:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(line, style="dim")


def _work(name: str) -> Work:
    if name not in WORKS:
        raise CannotBench(f"there is no bench {name!r}; there are {', '.join(WORKS)}")
    return WORKS[name]


def _contenders(works: Collection[Work], against: Sequence[str] | None) -> frozenset[str] | None:
    if against is None:
        return None
    known = {contender for work in works for contender in work.contenders}
    for name in against:
        if name not in known:
            raise CannotBench(f"--against {name!r} is none of {', '.join(sorted(known))}")
    return frozenset(against) | {OURS}


def _check_place(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise CannotBench(f"--json: there is no directory {path.absolute().parent}")


def _keep(outcome: Outcome, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=1) + b"\n")
    sys.stdout.write(f"{path} holds the outcome\n")
