from __future__ import annotations

import io

import pytest
from rich.console import Console

from mesh_api.survey import (
    Cluster,
    EndpointStats,
    Member,
    Peer,
    Server,
    StreamConfig,
    StreamInfo,
    StreamState,
    Survey,
)
from mesh_cli.top.screen import screen, short


def survey(at: float, *, deliveries: int, stored: int) -> Survey:
    data = {"sockets": 1_200, "topics": 3, "refused": 0, "latency": {"counts": [9, 1, 0], "bounds_s": [0.001, 0.5]}}
    edge = Member(
        "mesh-edge",
        "e1",
        "0.1.0",
        "2026-11-27T00:00:00Z",
        {"edge": "edge-\x1b[2J1"},
        (EndpointStats("deliveries", num_requests=deliveries, data=data),),
    )
    records = StreamInfo(
        config=StreamConfig(max_bytes=1_000, num_replicas=3),
        state=StreamState(messages=stored, bytes=900, last_seq=stored, first_ts="2026-11-27T00:00:00Z"),
        cluster=Cluster("c", "n1", (Peer("n2", current=True), Peer("n3", offline=True))),
    )
    return Survey(at, [edge], {"RECORDS": records, "SIGNALS": None}, Server("n1", "2.15.1", "c"))


def shown(now: Survey, before: Survey | None, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(screen(now, before))
    told: str = console.file.getvalue()  # type: ignore[attr-defined] # that it is a StringIO
    return told


def test_it_shows_rates_what_is_full_who_leads_and_what_is_missing() -> None:
    told = shown(survey(12, deliveries=5_000, stored=30), survey(10, deliveries=1_000, stored=10))
    assert "1.2k sockets, 3 topics, 2k deliveries/s" in told
    assert "90%" in told
    assert "n1*" in told
    assert "offline" in told
    assert "nobody answers for SIGNALS" in told
    (records,) = [line for line in told.splitlines() if "RECORDS" in line]
    assert records.split()[1:3] == ["10", "30"]


def test_it_is_whole_in_a_terminal_of_80_columns() -> None:
    told = shown(survey(12, deliveries=5_000, stored=30), survey(10, deliveries=1_000, stored=10), width=80)
    assert told.count("VERSION") == 3
    assert all(head in told for head in ("SUBJECTS", "OLDEST", "COPIES", "11-27 00:00"))


def test_one_look_knows_no_rates_and_names_of_strangers_are_escaped() -> None:
    told = shown(survey(10, deliveries=1, stored=1), None)
    assert "rates after the next look" in told
    assert "\x1b" not in told
    assert "edge-\\x1b[2J1" in told


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12, "12"), (12.34, "12.3"), (999, "999"), (1_000, "1k"), (3_400, "3.4k"), (120_000_000, "120M")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text
