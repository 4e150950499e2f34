"""Writers that wait for a stream: its leader is the wall, and who waits for it waits for all."""

from __future__ import annotations

import pytest

from mesh_cli.capacity.stream import Stream, write

STREAM = Stream(append_us=200, trip_us=300)


def test_a_lone_writer_waits_for_the_way_and_the_append() -> None:
    written = write(STREAM, writers=1)
    assert written.a_second == pytest.approx(2_000, rel=0.01)
    assert written.p50_ms == pytest.approx(0.5)


@pytest.mark.parametrize("writers", [4, 64])
def test_many_come_up_to_the_wall_and_no_further(writers: int) -> None:
    written = write(STREAM, writers=writers)
    assert written.a_second == pytest.approx(STREAM.most_a_second, rel=0.01)
    assert written.p50_ms == pytest.approx(writers * 0.2, rel=0.01)


def test_two_appends_take_twice_the_time_of_the_leader() -> None:
    assert write(STREAM, writers=32, appends=2).a_second == pytest.approx(2_500, rel=0.02)


def test_where_the_api_is_slower_it_is_the_wall() -> None:
    assert write(STREAM, writers=32, appends=2, work_us=1_000).a_second == pytest.approx(1_000, rel=0.02)
