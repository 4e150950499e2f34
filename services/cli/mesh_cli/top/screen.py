"""What `mesh top` shows, of two looks at the mesh. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh_api.figures import (
    ApiFigures,
    BrainFigures,
    EdgeFigures,
    Node,
    StreamFigures,
    apis_of,
    brains_of,
    edges_of,
    nodes_of,
    streams_of,
)
from mesh_api.survey import Survey
from mesh_cli.rendering import printable

_UNITS = ("", "k", "M", "G", "T")
_NEARLY_FULL = 0.8
_NOTHING = Text("–", "dim")


def screen(now: Survey, before: Survey | None) -> RenderableType:
    """One screen."""
    streams = streams_of(now, before)
    missing = [name for name, info in now.streams.items() if info is None]
    edges, brains = edges_of(now, before), brains_of(now)
    parts: list[RenderableType] = [_summary(edges), _edges(edges), _apis(apis_of(now, before))]
    if brains:
        parts.append(_brains(brains))
    parts += [_streams(streams), _nodes(nodes_of(now, streams))]
    if missing:
        parts.append(Text(f"nobody answers for {', '.join(missing)}", "bold red"))
    return Group(*parts)


def _summary(edges: list[EdgeFigures]) -> Text:
    sockets, topics = sum(edge.sockets for edge in edges), sum(edge.topics for edge in edges)
    rates = [edge.deliveries_per_s for edge in edges if edge.deliveries_per_s is not None]
    rate = f"{short(sum(rates))} deliveries/s" if rates else "rates after the next look"
    return Text.assemble(("Daena Mesh", "bold"), f"   {short(sockets)} sockets, {short(topics)} topics, {rate}")


def _edges(edges: Iterable[EdgeFigures]) -> Table:
    table = _table("EDGE", "SOCKETS", "TOPICS", "OUT/S", "P50 ms", "P99 ms", "REFUSED", "VERSION")
    for edge in edges:
        slow = edge.latency is not None and edge.latency.p99_ms > 250
        table.add_row(
            printable(edge.edge_id),
            short(edge.sockets),
            short(edge.topics),
            _rate(edge.deliveries_per_s),
            _NOTHING if edge.latency is None else f"{edge.latency.p50_ms:.1f}",
            _NOTHING if edge.latency is None else Text(f"{edge.latency.p99_ms:.1f}", "red" if slow else ""),
            short(edge.refused),
            printable(edge.version),
        )
    return table


def _apis(apis: Iterable[ApiFigures]) -> Table:
    table = _table("API", "CALLS/S", "CALLS", "ERRORS", "MEAN ms", "VERSION")
    for api in apis:
        errors = Text(short(api.errors), "red" if api.errors else "")
        row = (short(api.requests), errors, f"{api.average_ms:.1f}", printable(api.version))
        table.add_row(printable(f"{api.host} {api.instance[-6:]}"), _rate(api.requests_per_s), *row)
    return table


def _brains(brains: Iterable[BrainFigures]) -> Table:
    table = _table("BRAIN", "STATE", "MODEL", "ANSWERING", "ANSWERS", "ERRORS", "VERSION")
    for brain in brains:
        figures = (short(brain.answering), short(brain.answers), short(brain.errors))
        state, model = printable(brain.state or "–"), printable(brain.model or "–")
        table.add_row(printable(brain.brain_id), state, model, *figures, printable(brain.version))
    return table


def _streams(streams: Iterable[StreamFigures]) -> Table:
    table = _table("STREAM", "IN/S", "EVENTS", "SIZE", "FULL", "SUBJECTS", "OLDEST", "COPIES")
    for stream in streams:
        copies = Text(", ".join(f"{printable(copy.node)}{'*' if copy.leads else ''}" for copy in stream.copies) or "1")
        if any(copy.offline or not copy.current for copy in stream.copies):
            copies.stylize("red")
        share = stream.bytes / stream.max_bytes if stream.max_bytes else None
        of_limit = _NOTHING if share is None else Text(f"{share:.0%}", "red" if share > _NEARLY_FULL else "")
        size = (short(stream.messages), f"{short(stream.bytes)}B", of_limit, short(stream.subjects))
        table.add_row(stream.name, _rate(stream.stored_per_s), *size, _minute(stream.first_at), copies)
    return table


def _nodes(nodes: Iterable[Node]) -> Table:
    table = _table("NATS", "STATE", "LEADS", "FOLLOWS", "BEHIND", "VERSION")
    for node in nodes:
        state = "offline" if node.offline else "current" if node.current else "behind"
        shown = Text(state, "green" if state == "current" else "red")
        work = (str(len(node.leads)), str(len(node.follows)), short(node.lag))
        table.add_row(printable(node.name), shown, *work, printable(node.version or "–"))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0, header_style="dim")  # whole in 80 columns
    table.add_column(first, min_width=12, no_wrap=True, overflow="ellipsis")
    for name in others:
        table.add_column(name, justify="right", min_width=7, no_wrap=True, overflow="ellipsis")
    return table


def _minute(at: str | None) -> str:
    """Month, day and minute of a time in RFC 3339."""
    return at[5:16].replace("T", " ") if at else "–"


def _rate(value: float | None) -> RenderableType:
    return _NOTHING if value is None else short(value)


def short(value: float) -> str:
    """A number in at most five characters: 12, 3.4k, 120M."""
    unit = 0
    while abs(value) >= 1_000 and unit < len(_UNITS) - 1:
        value, unit = value / 1_000, unit + 1
    digits = 1 if abs(value) < 100 and value != int(value) else 0
    return f"{value:.{digits}f}{_UNITS[unit]}"
