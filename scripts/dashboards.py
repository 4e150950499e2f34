"""Write Grafana's dashboards into deploy/grafana, from what each is to show.

    python scripts/dashboards.py deploy/grafana

Grafana's own format says a screen of lines for each picture; here one line says what matters.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WIDTH = 24
_HEIGHT = 8
_ACROSS = 3


@dataclass(frozen=True)
class Picture:
    """One panel: queries by their legends."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    about: str = ""


def rate(metric: str, *by: str, of: str = "") -> str:
    """How often a second, by some labels."""
    return f"sum by ({', '.join(by)}) (rate({metric}{of}[$__rate_interval]))"


def quantile(q: float, metric: str, *by: str) -> str:
    """A quantile of a histogram, by some labels."""
    return f"histogram_quantile({q}, sum by ({', '.join((*by, 'le'))}) (rate({metric}_bucket[$__rate_interval])))"


OVERVIEW = (
    Picture("Clients", {"{{route}}": "sum by (route) (mesh_edge_sockets)"}),
    Picture("Deliveries", {"{{instance}}": rate("mesh_edge_deliveries_total", "instance")}, "ops"),
    Picture(
        "From publishing to the socket",
        {
            "p50": quantile(0.5, "mesh_edge_delivery_seconds"),
            "p99": quantile(0.99, "mesh_edge_delivery_seconds"),
        },
        "s",
    ),
    Picture("Requests", {"{{status}}": rate("mesh_api_requests_total", "status")}, "reqps"),
    Picture(
        "Until a write is stored",
        {"p50": quantile(0.5, "mesh_api_ack_seconds"), "p99": quantile(0.99, "mesh_api_ack_seconds")},
        "s",
    ),
    Picture(
        "Questions",
        {"{{state}}": "max by (state) (mesh_api_asks)"},
        about="Each API tells the same, of the whole mesh.",
    ),
    Picture("Agents that are there", {"agents": "max(mesh_api_agents)"}),
    Picture(
        "NATS answers",
        {"{{instance}}": "min by (instance) (mesh_edge_nats_connected or mesh_api_nats_connected)"},
        about="1: it does, and so do the leaders of the streams.",
    ),
    Picture(
        "Told as a gap",
        {"{{reason}}": "sum by (reason) (increase(mesh_edge_gaps_total[$__rate_interval]))"},
        about="What could not be read any more. Nothing is ever left out in silence.",
    ),
)

EDGES = (
    Picture("Clients of each edge", {"{{instance}}": "sum by (instance) (mesh_edge_sockets)"}),
    Picture("Topics", {"{{instance}}": "mesh_edge_topics"}),
    Picture("Bytes", {"{{instance}}": rate("mesh_edge_delivered_bytes_total", "instance")}, "Bps"),
    Picture("Deliveries for each event loop", {"{{instance}}": rate("mesh_edge_deliveries_total", "instance")}, "ops"),
    Picture("Delivery, p99", {"{{instance}}": quantile(0.99, "mesh_edge_delivery_seconds", "instance")}, "s"),
    Picture("Lag of the loop, p99", {"{{instance}}": quantile(0.99, "mesh_edge_loop_lag_seconds", "instance")}, "s"),
    Picture("Readers", {"{{state}}": "sum by (state) (mesh_edge_readers)"}),
    Picture(
        "Fell behind, and pieces of the log",
        {
            "fell behind": rate("mesh_edge_fell_behind_total"),
            "pieces read": rate("mesh_edge_pieces_read_total"),
            "pieces given": rate("mesh_edge_pieces_given_total"),
        },
        "ops",
    ),
    Picture("Replays", {"read": "sum(mesh_edge_replays)", "waiting": "sum(mesh_edge_replays_waiting)"}),
    Picture("Heals", {"{{cause}}": rate("mesh_edge_heals_total", "cause")}, "ops"),
    Picture("Connections that ended", {"{{code}}": rate("mesh_edge_closes_total", "code")}, "ops"),
    Picture(
        "Not let in", {"{{status}} {{reason}}": rate("mesh_edge_handshakes_refused_total", "status", "reason")}, "ops"
    ),
    Picture("What clients send", {"{{outcome}}": rate("mesh_edge_sends_total", "outcome")}, "ops"),
    Picture("Poison", {"{{instance}}": rate("mesh_edge_poison_total", "instance")}, "ops"),
    Picture("Ready", {"{{instance}}": "mesh_edge_ready"}),
)

NATS = (
    Picture(
        "NATS answers",
        {"{{instance}}": "min by (instance) (mesh_edge_nats_connected or mesh_api_nats_connected)"},
    ),
    Picture(
        "Reconnects",
        {
            "edges": "sum(increase(mesh_edge_nats_connects_total[$__rate_interval]))",
            "APIs": "sum(increase(mesh_api_nats_connects_total[$__rate_interval]))",
        },
    ),
    Picture("Healed after a reconnect", {"topics": rate("mesh_edge_heals_total", of='{cause="reconnect"}')}, "ops"),
    Picture("Stored, p50", {"{{instance}}": quantile(0.5, "mesh_api_ack_seconds", "instance")}, "s"),
    Picture("Stored, p99", {"{{instance}}": quantile(0.99, "mesh_api_ack_seconds", "instance")}, "s"),
    Picture("Stored for clients, p99", {"{{instance}}": quantile(0.99, "mesh_edge_ack_seconds", "instance")}, "s"),
    Picture("Live messages that were missed", {"{{cause}}": rate("mesh_edge_heals_total", "cause")}, "ops"),
    Picture("Size of the streams", {"{{stream}}": "max by (stream) (mesh_api_stream_bytes)"}, "bytes"),
    Picture(
        "Of their limits",
        {"{{stream}}": "max by (stream) (mesh_api_stream_bytes) / max by (stream) (mesh_api_stream_limit_bytes)"},
        "percentunit",
    ),
    Picture("Sessions", {"{{instance}}": "mesh_api_sessions"}),
    Picture("Stored, and could not be read", {"{{instance}}": rate("mesh_api_malformed_total", "instance")}, "ops"),
)

AGENTS = (
    Picture("Agents that are there", {"agents": "max(mesh_api_agents)"}),
    Picture("Fell silent", {"agents": "sum(increase(mesh_api_silences_total[$__rate_interval]))"}),
    Picture("Questions", {"{{state}}": "max by (state) (mesh_api_asks)"}),
    Picture("Answered by nobody", {"questions": "sum(increase(mesh_api_unanswered_total[$__rate_interval]))"}),
    Picture(
        "Messages of writers that died", {"messages": "sum(increase(mesh_api_streams_ended_total[$__rate_interval]))"}
    ),
    Picture("Refused tokens", {"{{reason}}": rate("mesh_api_auth_failures_total", "reason")}, "ops"),
)

DASHBOARDS = {
    "overview": ("Mesh: overview", OVERVIEW),
    "edges": ("Mesh: edges", EDGES),
    "nats": ("Mesh: NATS", NATS),
    "agents": ("Mesh: agents", AGENTS),
}


def panel(number: int, picture: Picture) -> dict[str, Any]:
    """A picture, as Grafana wants it."""
    width = _WIDTH // _ACROSS
    row, column = divmod(number, _ACROSS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": picture.title,
        "description": picture.about,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {"x": column * width, "y": row * _HEIGHT, "w": width, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": picture.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": query, "legendFormat": legend}
            for at, (legend, query) in enumerate(picture.queries.items())
        ],
    }


def dashboard(name: str, title: str, pictures: Sequence[Picture]) -> dict[str, Any]:
    """A dashboard, as Grafana imports and provisions it."""
    return {
        "uid": f"daena-mesh-{name}",
        "title": title,
        "tags": ["daena-mesh"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "links": [{"type": "dashboards", "title": "Mesh", "tags": ["daena-mesh"], "asDropdown": True}],
        "panels": [panel(number, picture) for number, picture in enumerate(pictures)],
    }


def files() -> dict[str, str]:
    """The text of each file, by its name."""
    return {
        f"{name}.json": json.dumps(dashboard(name, title, pictures), indent=2) + "\n"
        for name, (title, pictures) in DASHBOARDS.items()
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")
