from __future__ import annotations

import msgspec
import pytest

from mesh_cli.bench.load import Report

WELL = Report(
    sockets=3,
    events=30,
    bytes=9_000,
    others=0,
    broken=0,
    repeated=0,
    reordered=0,
    missing=0,
    closed=0,
    first_least=1,
    first_most=1,
    last_least=10,
    last_most=10,
    p50_us=100,
    p99_us=900,
    slowest_us=1_000,
    seconds=1.0,
    cpu_seconds=0.1,
)


def test_a_stream_that_is_whole_has_no_faults() -> None:
    assert WELL.faults(10) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"broken": 1}, "1 frames broken"),
        ({"repeated": 2}, "2 events repeated"),
        ({"reordered": 3}, "3 out of order"),
        ({"missing": 4}, "4 missing"),
        ({"closed": 5}, "5 sockets lost"),
        ({"first_most": 2}, "sockets began with event 1 to 2, not 1"),
        ({"first_least": 0}, "sockets began with event 0 to 1, not 1"),
        ({"last_least": 9}, "sockets ended with event 9 to 10, not 10"),
        ({"last_most": 11}, "sockets ended with event 10 to 11, not 10"),
    ],
)
def test_each_fault_is_named(change: dict[str, int], words: str) -> None:
    assert msgspec.structs.replace(WELL, **change).faults(10) == words
