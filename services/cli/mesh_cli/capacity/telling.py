"""A plan, and how simulations compare with measurements, as tables for a terminal and as objects for programs."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh_cli.bench.table import number_of
from mesh_cli.capacity.sizing import Sizing
from mesh_cli.capacity.trial import Trial
from mesh_cli.capacity.walls import walls


def as_object(sizing: Sizing, source: str) -> dict[str, object]:
    """Give a plan as an object, in base units that its names say."""
    return {
        "want": sizing.want,
        "costs": {"from": source, "us": sizing.costs},
        "edges": {
            "needed": sizing.edges,
            "for_delivery": sizing.edges_for_delivery,
            "for_return": sizing.edges_for_return,
            "busy": sizing.run.busy + sizing.keepalive(sizing.edges),
            "delivery_us": sizing.run.delivery_us,
            "events_a_turn": sizing.run.events_a_turn,
            "p99_ms": sizing.run.delay_ms(0.99),
            "memory_gb": sizing.memory_gb,
            "sent_mbit_each": sizing.sent_mbit,
        },
        "streams": {
            "RECORDS": sizing.records_streams,
            "SIGNALS": sizing.signals_streams,
            "records_gb_a_day": sizing.records_gb_a_day,
        },
        "nats": {
            "nodes": sizing.nats_nodes,
            "cores": sizing.nats_cores,
            "leaf_cores": sizing.leaf_cores,
            "routes_mbit": sizing.routes_mbit,
            "handed_on_mbit": sizing.handed_on_mbit,
        },
        "walls": walls(sizing),
    }


def as_tables(sizing: Sizing, source: str) -> RenderableType:
    """Give a plan for a terminal."""
    want, run = sizing.want, sizing.run
    title = f"{want.sockets:,} sockets, {want.events:,.0f} events a second, {want.readers:g} readers of each"
    needs = Table(title=title, title_justify="left", title_style="bold")
    needs.add_column("needed")
    needs.add_column("", justify="right")
    needs.add_column("because")
    to = "leaf nodes" if want.leaves else "edges"
    rows = [
        (
            "edges, a core each",
            f"{sizing.edges:,}",
            f"{sizing.edges_for_delivery:,} to deliver, {sizing.edges_for_return:,} for all back in {want.back_s:g} s",
        ),
        (
            "  each of them",
            f"{run.busy + sizing.keepalive(sizing.edges):.0%}",
            f"busy: {number_of(run.delivery_us)} µs a delivery, {run.events_a_turn:.3g} events a turn",
        ),
        ("  p99 in an edge", f"{run.delay_ms(0.99):.1f} ms", "from publishing to the last write"),
        ("  memory of all", f"{sizing.memory_gb:,.1f} GB", "private; the kernel's for its sockets is not in it"),
        ("  sent by each", f"{sizing.sent_mbit:,.0f} Mbit/s", f"{want.sockets / sizing.edges:,.0f} sockets"),
        ("streams RECORDS", f"{sizing.records_streams}", f"{sizing.records_gb_a_day:,.0f} GB a day, one copy"),
        ("streams SIGNALS", f"{sizing.signals_streams}", f"at {want.busy:.0%} of what one takes"),
        (
            "NATS nodes",
            f"{sizing.nats_nodes}",
            f"{sizing.nats_cores:,.1f} cores at most, {want.node_cores} a node, {want.replicas} copies",
        ),
        ("  routes", f"{sizing.routes_mbit:,.0f} Mbit/s", "copies, and what edges elsewhere follow"),
        (f"  to {to}", f"{sizing.handed_on_mbit:,.0f} Mbit/s", f"{sizing.handed_on:,.0f} messages a second"),
    ]
    if want.leaves:
        rows.append(("leaf nodes", f"{want.leaves}", f"{sizing.leaf_cores:,.1f} cores at most, to hand on to edges"))
    for row in rows:
        needs.add_row(*row)
    return Group(needs, _walls(sizing), Text(f"costs: mesh bench of {source}", "dim"))


def markdown(found: Iterable[Trial]) -> str:
    """Give simulations beside measurements for a document."""
    lines = ["| work | measure | simulated | measured | off by | within 20 % |", "|---|---|---:|---:|---:|---|"]
    lines += [f"| `{work}` | {' | '.join(rest)} |" for work, *rest in map(_cells, found)]
    return "\n".join(lines)


def _cells(trial: Trial) -> tuple[str, ...]:
    amounts = (f"{number_of(amount)} {trial.unit}" for amount in (trial.simulated, trial.measured))
    return (trial.work, trial.measure, *amounts, f"{trial.error:+.0%}", "yes" if trial.holds else "no")


def _walls(sizing: Sizing) -> Table:
    table = Table(title="walls, the first one first", title_justify="left", title_style="bold")
    for name in ["wall", "needed", "one holds", "times", "way past it"]:
        table.add_column(name, justify="left" if name[0] == "w" else "right")
    for wall in walls(sizing):
        style = "red" if wall.times > 1 else ""
        amounts = (f"{wall.needed:,.0f}", f"{wall.holds:,.0f} {wall.unit}", f"{wall.times:.2f}")
        table.add_row(wall.name, *amounts, wall.way, style=style)
    return table


def of_trials(found: Iterable[Trial]) -> Table:
    """Give simulations beside measurements."""
    table = Table()
    for name in ["work", "measure", "simulated", "measured", "off by", "within 20 %"]:
        table.add_column(name, justify="left" if name in {"work", "measure"} else "right")
    for trial in found:
        table.add_row(*_cells(trial))
    return table
