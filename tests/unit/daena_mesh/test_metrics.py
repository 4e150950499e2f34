from __future__ import annotations

from daena_mesh.metrics import by, merged, single, text


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
