"""A simulated edge does what an edge does: a write a socket and turn, together what came together, rests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh_cli.capacity.edge import Load, Path, Run, Steps, simulate

STEPS = Steps(turn_us=10, event_us=5, write_us=8, frame_us=0.05)
PATH = Path(p50_us=100, p99_us=100)


def test_an_event_alone_is_a_turn_of_its_own() -> None:
    run = simulate(STEPS, PATH, Load(sockets=1_000, topics=1, rate=10, seconds=1))
    assert (run.turns, run.events, run.deliveries) == (10, 10, 10_000)
    assert run.delivery_us == pytest.approx(8 + 0.015)
    assert run.delay_ms(0.5) == pytest.approx(0.1 + 0.015 + 4.0, rel=0.05)
    assert run.delay_ms(1) == pytest.approx(0.1 + 0.015 + 8.0, rel=0.05)


def test_what_comes_during_a_turn_is_written_together() -> None:
    run = simulate(STEPS, PATH, Load(sockets=1_000, topics=1, rate=2_000, seconds=1))
    assert run.events == 2_000
    assert run.events_a_turn > 10
    assert run.delivery_us < 1


def test_with_a_topic_for_each_socket_nothing_can_be_written_together() -> None:
    run = simulate(STEPS, PATH, Load(sockets=1_000, topics=1_000, rate=8_000, seconds=1))
    assert run.deliveries == run.events == 8_000
    assert run.delivery_us == pytest.approx(5 + 8 + 10 / run.events_a_turn)


def test_rests_make_fewer_turns_and_no_event_late_by_more_than_they_last() -> None:
    load = Load(sockets=1_000, topics=1_000, rate=8_000, seconds=1)
    rested, restless = simulate(STEPS, PATH, load), simulate(replace(STEPS, rests=False), PATH, load)
    assert rested.turns < restless.turns / 3
    assert rested.delay_ms(1) < restless.delay_ms(1) + 5


def test_a_turn_reads_no_more_than_it_can() -> None:
    steps = replace(STEPS, read_bytes=5_000, rests=False)
    run = simulate(steps, PATH, Load(sockets=1_000, topics=1, rate=10_000, seconds=0.1))
    assert run.events == 1_000
    assert run.events_a_turn <= 10


def test_more_than_64_kib_are_written_in_several_writes() -> None:
    free = Steps(turn_us=0, event_us=0, write_us=1, frame_us=0, rests=False)
    together = simulate(free, PATH, Load(sockets=1, topics=1, rate=328_000, seconds=1))
    assert together.worked_s * 1e6 == pytest.approx(3 * together.turns, rel=0.1)  # 328 frames of 400 bytes are 128 KiB


def test_too_much_gets_later_and_later() -> None:
    def p99(seconds: float) -> float:
        load = Load(sockets=1_000, topics=1_000, rate=100_000, seconds=seconds)
        return simulate(STEPS, PATH, load).delay_ms(0.99)

    assert p99(2) > 1.5 * p99(1) > 100


def test_a_slow_reader_of_all_sockets_is_in_the_delays_and_not_in_the_work() -> None:
    load = Load(sockets=1_000, topics=1, rate=10, seconds=1)
    alone, read = simulate(STEPS, PATH, load), simulate(STEPS, replace(PATH, read_us=12), load)
    assert read.delivery_us == alone.delivery_us
    assert read.delay_ms(1) == pytest.approx(12, rel=0.1)


def test_delays_on_the_way_have_the_quantiles_they_were_given() -> None:
    ways = Path(p50_us=200, p99_us=500).delays_s()
    drawn = sorted(next(ways) * 1e6 for _ in range(20_000))
    assert drawn[10_000] == pytest.approx(200, rel=0.05)
    assert drawn[19_800] == pytest.approx(500, rel=0.05)


def test_no_delay_where_nothing_was_delivered() -> None:
    assert Run().delay_ms(0.99) == 0.0
