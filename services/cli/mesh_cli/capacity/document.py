"""What docs/scaling.md shows of the model: its costs, how far off it is, plans, a stream under writers.

::

    python -m mesh_cli.capacity.document docs/scaling.md bench/results
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import msgspec
from rich.console import Console, RenderableType

from mesh_cli.bench.machine import CannotBench
from mesh_cli.bench.outcome import Outcome
from mesh_cli.bench.table import number_of
from mesh_cli.capacity.command import read
from mesh_cli.capacity.costs import Costs, fitted, fitted_edge
from mesh_cli.capacity.kept import FROM
from mesh_cli.capacity.sizing import Sizing, Want
from mesh_cli.capacity.stream import write
from mesh_cli.capacity.telling import as_tables, markdown
from mesh_cli.capacity.trial import Trial, trials, trials_at

_MARK = "<!-- {name}; `make docs` writes it. -->\n"
_END = "<!-- So far. -->\n"
_WIDTH = 112
_COSTS = re.compile(r"^        (\w+): (.*)\n", re.MULTILINE)
_MILLION = Want(sockets=1_000_000, events=100_000, readers=10, agents=10_000)


def with_figures(text: str, folder: Path) -> str:
    """Put what the model says at the kept costs between the marks of a document."""
    outcome = read(folder / f"{FROM}.json")
    costs = fitted(outcome)
    for name, block in {
        "The costs": _table_of(costs),
        "The trial": markdown(trials(outcome)),
        "The trial of the older figures": markdown(trials(read(min(folder.glob("*.json"))))),
        "The other scale": markdown(at_another_scale(folder / "scales", costs)),
        "The plan": _plan("", _MILLION, costs, outcome),
        "The plan with leaf nodes": _plan(" --leaves 4", msgspec.structs.replace(_MILLION, leaves=4), costs, outcome),
        "The stream": _writers(costs),
    }.items():
        text = _put(text, name, block)
    return text


def at_another_scale(folder: Path, costs: Costs) -> list[Trial]:
    """Fit an edge's costs to what was measured at full scale, and hold them against a third of it, measured in turn."""
    (full,), (third,) = (list(folder.glob(f"*-{scale}.json")) for scale in ("full", "third"))
    return trials_at(read(third), msgspec.structs.replace(costs, **fitted_edge(read(full))))


def _put(text: str, name: str, block: str) -> str:
    before, begin, rest = text.partition(_MARK.format(name=name))
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise CannotBench(f"the document has no place for {name!r}")
    return f"{before}{begin}\n{block}\n\n{end}{after}"


def _table_of(costs: Costs) -> str:
    lines = ["| cost | | is |", "|---|---:|---|"]
    for name, about in _COSTS.findall(Costs.__doc__ or ""):
        value, unit = getattr(costs, name), "KB" if name.endswith("_kb") else "µs"
        lines.append(f"| `{name}` | {number_of(value)} {unit} | {about.rstrip('.').removesuffix(', KB')} |")
    return "\n".join(lines)


def _plan(option: str, want: Want, costs: Costs, outcome: Outcome) -> str:
    command = f"$ mesh plan --sockets {want.sockets} --events {want.events:.0f} --readers {want.readers:g}"
    shown = _as_text(as_tables(Sizing(want, costs), outcome.date))
    return f"```console\n{command} --agents {want.agents}{option}\n{shown}\n```"


def _as_text(tables: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=_WIDTH, color_system=None, force_terminal=False).print(tables)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _writers(costs: Costs) -> str:
    lines = ["| writers | RECORDS, /s | p50 | SIGNALS, /s | p50 |", "|---:|---:|---:|---:|---:|"]
    for writers in (1, 4, 16, 64, 256, 1_024):
        cells = []
        for stream in (costs.records, costs.signals):
            written = write(stream, writers=writers, times=20_000)
            cells += [f"{written.a_second:,.0f}", f"{written.p50_ms:.2f} ms"]
        lines.append(f"| {writers:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Write it into the document."""
    path, folder = map(Path, sys.argv[1:])
    path.write_text(with_figures(path.read_text(encoding="utf-8"), folder), encoding="utf-8")


if __name__ == "__main__":
    main()
