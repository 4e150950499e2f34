"""`/metrics` of an edge. Gauges are read when somebody asks, so they cost nothing until then."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from daena_mesh.metrics import Metric, by, by_both, single, timing
from daena_mesh.token_keys import key_metrics
from mesh_edge.many import ManySocket
from mesh_edge.stranger import Stranger
from mesh_edge.whole import View
from mesh_edge.wire import EVENT_STREAM

if TYPE_CHECKING:
    from mesh_edge.edge import Edge
    from mesh_edge.link import Link


def route_of(link: Link) -> str:
    """The route that a client came by, without what it asked for there."""
    if isinstance(link, ManySocket):
        return "/ws"
    if isinstance(link, Stranger):
        return "unauthenticated"
    name = next((reader.topic.name for reader in link.readers), "")
    return f"/{'sse' if link.wire is EVENT_STREAM else 'ws'}/{name.partition('_')[0]}"


def edge_metrics(edge: Edge) -> list[Metric]:
    """What Prometheus is told of one process of an edge."""
    topics, counts, connection = list(edge.topics()), edge.counts, edge.mesh.connection
    readers = Counter({"live": 0, "held_back": 0, "from_log": 0})
    for topic in topics:
        live, held_back = len(topic.ready), len(topic.behind)
        readers.update(live=live, held_back=held_back, from_log=len(topic.readers) - live - held_back)
    replays = edge.mesh.log.replays
    return [
        single("mesh_edge_ready", "gauge", "Whether new sockets are welcome.", int(edge.is_ready)),
        single(
            "mesh_edge_nats_connected",
            "gauge",
            "Whether NATS and the leaders answer.",
            int(connection.state == "connected"),
        ),
        single("mesh_edge_nats_connects_total", "counter", "Connections to NATS that were made.", connection.connects),
        by(
            "route",
            "mesh_edge_sockets",
            "gauge",
            "Clients that are connected.",
            Counter(map(route_of, edge.sockets())),
        ),
        single("mesh_edge_topics", "gauge", "Topics that are followed.", len(topics)),
        by("state", "mesh_edge_readers", "gauge", "Sockets on topics, by how they are served.", readers),
        single("mesh_edge_deliveries_total", "counter", "Live frames that were given to sockets.", edge.deliveries),
        single("mesh_edge_delivered_bytes_total", "counter", "Their size, in bytes.", edge.delivered_bytes),
        single(
            "mesh_edge_fell_behind_total",
            "counter",
            "Times a reader was so slow that it went on from the log.",
            counts.fell_behind,
        ),
        single(
            "mesh_edge_pieces_read_total",
            "counter",
            "Pieces of the log that were read for who resumes or is slow.",
            counts.pieces_read,
        ),
        single("mesh_edge_pieces_given_total", "counter", "Times one of them was given.", counts.pieces_given),
        single("mesh_edge_replays", "gauge", "Replays of the log that are being read.", replays.in_flight),
        single("mesh_edge_replays_waiting", "gauge", "Who waits for a replay to begin.", replays.waiting),
        by(
            "cause",
            "mesh_edge_heals_total",
            "counter",
            "Times a topic began to read what it had missed, or might have, by what told it.",
            edge.mesh.log.heals,
        ),
        by("reason", "mesh_edge_gaps_total", "counter", "Gaps that were told.", counts.gaps),
        single("mesh_edge_poison_total", "counter", "Stored messages that are no events.", edge.poison.count),
        by("outcome", "mesh_edge_sends_total", "counter", "What clients sent.", edge.rules.desk.outcomes),
        by(
            "code",
            "mesh_edge_closes_total",
            "counter",
            "Connections that ended: by the code of the edge's close, by the client, or lost without a word.",
            counts.closed,
        ),
        by_both(
            ("status", "reason"),
            "mesh_edge_handshakes_refused_total",
            "Clients that were not let in, by the status of the answer or the code of the close.",
            counts.refused,
        ),
        timing(
            "mesh_edge_delivery_seconds",
            "From publishing to the write to sockets; a sample of the turns of the event loop.",
            edge.latency,
        ),
        timing("mesh_edge_ack_seconds", "Until JetStream acknowledged what clients sent.", edge.mesh.log.acks),
        *key_metrics("mesh_edge", edge.gate.keyring),
        timing("mesh_edge_loop_lag_seconds", "How late the event loop was, looked at twice a second.", edge.loop_lag),
        single("mesh_edge_tasks", "gauge", "Tasks on the event loop.", len(asyncio.all_tasks())),
    ]


def _metrics(edge: Edge, _asked: None) -> list[Metric]:
    return edge_metrics(edge)


METRICS = View("metrics", type(None), list[Metric], _metrics)
