"""What is remembered of a topic for those who are about to join."""

from __future__ import annotations

import pytest

from mesh_edge.tail import Shown, Tail


@pytest.mark.parametrize(("size", "kept"), [(10, 4_096), (65_536, 16), (2_000_000, 0)])
def test_it_is_bounded_in_number_and_in_bytes_and_knows_what_it_forgot(size: int, kept: int) -> None:
    tail = Tail()
    frame = bytes(size)
    for seq in range(1, 5_001):
        tail.add(Shown("RECORDS", seq, seq - 1, frame))
    assert [shown.seq for shown in tail.behind({"RECORDS": 0})] == list(range(5_001 - kept, 5_001))
    # Whoever stands before what was forgotten reads the log once more.
    assert tail.has_forgotten({"RECORDS": 4_999 - kept})
    assert not tail.has_forgotten({"RECORDS": 5_000 - kept})


def test_positions_are_of_each_stream() -> None:
    assert Tail().is_untouched
    tail = Tail()
    for stream, seq in (("RECORDS", 5), ("SIGNALS", 3), ("RECORDS", 6)):
        tail.add(Shown(stream, seq, seq - 1, b""))
    assert not tail.is_untouched
    behind = tail.behind({"RECORDS": 5, "SIGNALS": 2})
    assert [(shown.stream, shown.seq) for shown in behind] == [("SIGNALS", 3), ("RECORDS", 6)]


def test_a_late_find_that_is_forgotten_hides_no_later_event() -> None:
    tail = Tail()
    frame = bytes(400_000)
    for seq in (7, 9, 8, 10):
        tail.add(Shown("RECORDS", seq, 9, frame))
    assert [shown.seq for shown in tail.behind({"RECORDS": 0})] == [8, 10]
    assert tail.has_forgotten({"RECORDS": 8})
    assert not tail.has_forgotten({"RECORDS": 9})
