from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.pulling import next_turn, read_ack_subject


@pytest.mark.parametrize(
    "subject",
    [
        b"$JS.ACK.ASKS.agent-a.2.41.50.1795729552792466164.7",
        b"$JS.ACK.hub.ACCHASH.ASKS.agent-a.2.41.50.1795729552792466164.7",
        b"$JS.ACK._.ACCHASH.ASKS.agent-a.2.41.50.1795729552792466164.7.random",
    ],
)
def test_what_an_acknowledgement_says(subject: bytes) -> None:
    taken = read_ack_subject(subject)
    assert taken is not None
    assert (taken.attempt, taken.seq) == (2, 41)
    assert taken.at.isoformat() == "2026-11-26T21:45:52.792466+00:00"


@pytest.mark.parametrize(
    "subject",
    [
        b"",
        b"_INBOX.x",
        b"$JS.ACK.RECORDS.agent-a.2.41.50.1795729552792466164.7",
        b"$JS.ACK.ASKS.agent-a.2.41.50",
        b"$JS.ACK.ASKS.agent-a.x.41.50.1795729552792466164.7",
        b"$JS.ACK.ASKS.agent-a.2.41.50.9999999999999999999999999999.7",
        b"$JS.NAK.ASKS.agent-a.2.41.50.1795729552792466164.7",
    ],
)
def test_what_is_none(subject: bytes) -> None:
    assert read_ack_subject(subject) is None


class Office:
    """Workers that wait and work, by the rule alone."""

    def __init__(self, targets: int, workers: int) -> None:
        self.names = [f"t{i}" for i in range(targets)]
        self.waiting: Counter[str] = Counter()
        self.engaged: Counter[str] = Counter()
        self.turns: dict[str, int] = {}
        self.turn = 0
        for _ in range(workers):
            self.free()

    def free(self) -> None:
        name = next_turn({name: self.waiting[name] for name in self.names}, self.engaged, self.turns)
        assert self.waiting[name] == min(self.waiting[other] for other in self.names)
        self.turn += 1
        self.turns[name] = self.turn
        self.waiting[name] += 1
        self.engaged[name] += 1

    def take(self, name: str) -> None:
        self.waiting[name] -= 1

    def end(self, name: str) -> None:
        self.engaged[name] -= 1
        self.free()

    def expire(self, name: str) -> None:
        self.take(name)
        self.end(name)


@given(st.integers(1, 5), st.integers(0, 5), st.lists(st.tuples(st.sampled_from("tex"), st.integers(0, 4))))
def test_who_is_free_goes_where_the_fewest_wait(targets: int, more: int, steps: list[tuple[str, int]]) -> None:
    office = Office(targets, targets + more)
    assert min(office.waiting[name] for name in office.names) >= 1
    for step, number in steps:
        name = office.names[number % targets]
        at_work = office.engaged[name] - office.waiting[name]
        if step == "t" and office.waiting[name]:
            office.take(name)
        elif step == "e" and at_work:
            office.end(name)
        elif step == "x" and office.waiting[name]:
            office.expire(name)
        assert sum(office.engaged.values()) == targets + more


def test_a_busy_target_gets_all_workers_but_one_for_each_other() -> None:
    office = Office(3, 8)
    for _ in range(50):
        while office.waiting["t0"]:
            office.take("t0")
        for name in ("t1", "t2"):
            if office.waiting[name]:
                office.expire(name)
    assert office.engaged == {"t0": 6, "t1": 1, "t2": 1}


def test_a_single_worker_goes_round() -> None:
    office, seen = Office(3, 1), []
    for _ in range(6):
        [name] = [name for name in office.names if office.waiting[name]]
        seen.append(name)
        office.expire(name)
    assert seen == ["t0", "t1", "t2"] * 2
