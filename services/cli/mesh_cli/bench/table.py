"""An outcome as tables: for a terminal, and for a document."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh_cli.bench.outcome import Done, Measure, Outcome, Row
from mesh_cli.bench.work import OURS

_VERDICTS = {True: "reached", False: "missed", None: ""}


def for_terminal(outcome: Outcome) -> RenderableType:
    """Give a table for each piece of work, and the notes."""
    tables: list[RenderableType] = [_table(done) for done in outcome.works]
    return Group(*tables, *(Text(f"note: {note}", "yellow") for note in outcome.notes))


def _table(done: Done) -> Table:
    has_ratios = any(row.ratio is not None for measure in done.measures for row in measure.rows)
    table = Table(title=f"{done.work}: {done.about}", title_justify="left", title_style="bold")
    table.add_column("measure")
    table.add_column("who")
    table.add_column("median", justify="right")
    if has_ratios:
        table.add_column(f"× {done.baseline}", justify="right")
    table.add_column("to reach")
    for measure in done.measures:
        for number, row in enumerate(measure.rows):
            is_ours = row.contender == OURS
            table.add_row(
                measure.name if number == 0 else "",
                row.contender,
                f"{number_of(row.value)} {measure.unit}",
                *([ratio_of(row)] if has_ratios else []),
                Text(_verdict(measure) if is_ours else "", "red" if measure.is_reached is False else "green"),
                style="bold" if is_ours else "",
                end_section=row is measure.rows[-1],
            )
    return table


def for_document(outcome: Outcome) -> str:
    """Give one Markdown table of all there is, a line for each contender and measure."""
    return "\n".join(_lines(outcome)) + "\n"


def _lines(outcome: Outcome) -> Iterator[str]:
    machine = outcome.machine
    versions = ", ".join(f"{name} {version}" for name, version in sorted(machine.versions.items()))
    yield f"{outcome.date}, {outcome.rounds} rounds, scale {outcome.scale:g}: {machine.cpu}, {machine.cores} cores, "
    yield f"{machine.memory_mib:,} MiB, Linux {machine.kernel}, Python {machine.python}; {versions}."
    yield ""
    yield "| work | measure | who | median | rounds | ratio | to reach |"
    yield "|---|---|---|---:|---|---:|---|"
    for done in outcome.works:
        for measure in done.measures:
            for row in measure.rows:
                rounds = ", ".join(number_of(value) for value in row.rounds)
                ratio = ratio_of(row)
                verdict = _verdict(measure) if row.contender == OURS else ""
                yield (
                    f"| `{done.work}` | {measure.name} | {row.contender} | {number_of(row.value)} {measure.unit} "
                    f"| {rounds} | {f'{ratio} × {done.baseline}' if ratio else ''} | {verdict} |"
                )
    if outcome.notes:
        yield ""
    for note in outcome.notes:
        yield f"- {note}"


def _verdict(measure: Measure) -> str:
    verdict = _VERDICTS[measure.is_reached]
    return f"{measure.target}: {verdict}" if verdict else measure.target


def number_of(value: float) -> str:
    """Write a number with three digits that count."""
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 100 else f"{value:#.3g}"


def ratio_of(row: Row) -> str:
    """Write a ratio, if there is one."""
    return "" if row.ratio is None else f"{row.ratio:.2f}"
