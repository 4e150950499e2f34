from __future__ import annotations

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from daena_mesh.histogram import Histogram
from daena_mesh.metrics import Metric, by, merged, single, text, timing


def test_the_text_is_as_prometheus_reads_it() -> None:
    metrics = [
        single("up", "gauge", "Whether.", 1),
        by("route", "sockets", "gauge", "How many.", {"/ws": 2, "/sse": 3}),
    ]
    assert text(metrics).splitlines() == [
        "# HELP up Whether.",
        "# TYPE up gauge",
        "up 1",
        "# HELP sockets How many.",
        "# TYPE sockets gauge",
        'sockets{route="/ws"} 2',
        'sockets{route="/sse"} 3',
    ]


def test_groups_are_merged_under_one_head_each() -> None:
    first = [single("up", "gauge", "Whether.", 1), by("route", "sockets", "gauge", "How many.", {"/ws": 2})]
    second = [single("up", "gauge", "Whether.", 0)]
    assert text(merged({"1": first, "2": second}, "worker")).splitlines() == [
        "# HELP up Whether.",
        "# TYPE up gauge",
        'up{worker="1"} 1',
        'up{worker="2"} 0',
        "# HELP sockets How many.",
        "# TYPE sockets gauge",
        'sockets{worker="1",route="/ws"} 2',
    ]


def test_a_histogram_is_as_prometheus_reads_it() -> None:
    histogram = Histogram((0.1, 1.0))
    histogram.note(0.5)
    histogram.note(2.0)
    metric = timing("wait_seconds", "How long.", histogram)
    passed_on = msgspec.json.decode(msgspec.json.encode([metric]), type=list[Metric])  # as workers do
    [family] = text_string_to_metric_families(text(merged({"1": passed_on}, "worker")))
    assert (family.name, family.type) == ("wait_seconds", "histogram")
    assert [(sample.name, sample.labels, sample.value) for sample in family.samples] == [
        ("wait_seconds_bucket", {"worker": "1", "le": "0.1"}, 0),
        ("wait_seconds_bucket", {"worker": "1", "le": "1.0"}, 1),
        ("wait_seconds_bucket", {"worker": "1", "le": "+Inf"}, 2),
        ("wait_seconds_sum", {"worker": "1"}, 2.5),
        ("wait_seconds_count", {"worker": "1"}, 2),
    ]
