from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.lanes import Lane, Lanes, moment
from daena_mesh.reader import Batch
from daena_mesh.stored import Stored

PATTERNS = {"RECORDS": ["a", "b"], "SIGNALS": ["a", "b", "c"]}
START = datetime(2026, 1, 1, tzinfo=UTC)

Log = dict[str, list[Stored]]


def time_of(tick: int) -> bytes:
    """Write a time as the server does: without trailing zeros."""
    text = (START + timedelta(milliseconds=tick * 100)).isoformat().removesuffix("+00:00")
    return (text.rstrip("0").rstrip(".") if "." in text else text).encode() + b"Z"


def message(stream: str, subject: str, seq: int, tick: int = 0) -> Stored:
    return Stored(stream, subject.encode(), seq, 0, time_of(tick), b"", b"")


@st.composite
def logs(draw: st.DrawFn, *, clock_goes_back: bool = False) -> Log:
    """Draw streams whose sequences have holes and whose times grow, or not."""
    log: Log = {}
    for stream, patterns in PATTERNS.items():
        seq = tick = 0
        log[stream] = []
        for _ in range(draw(st.integers(0, 12))):
            seq += draw(st.integers(1, 3))
            tick += draw(st.integers(-15 if clock_goes_back else 0, 20))
            log[stream].append(message(stream, draw(st.sampled_from(patterns)), seq, tick))
    return log


def answer(log: list[Stored], pattern: str, after: int, most: int) -> Batch:
    """Give what a replica would: the next messages on a pattern, and how many there are behind them."""
    left = [m for m in log if m.seq > after and m.subject == pattern.encode()]
    return Batch(left[:most], max(0, len(left) - most))


def head(log: list[Stored], pattern: str) -> int:
    return max((m.seq for m in log if m.subject == pattern.encode()), default=0)


def read(log: Log, limits: Mapping[str, int | None], data: st.DataObject) -> list[Stored]:
    """Read everything, in batches of random sizes, from replicas that may be stale."""
    lanes = Lanes([Lane(stream, p, 0, limits[stream]) for stream, patterns in PATTERNS.items() for p in patterns])
    taken: list[Stored] = []
    for _ in range(200):
        if not (dry := lanes.dry()):
            break
        for lane in dry:
            whole = log[lane.stream]
            held = whole[: data.draw(st.integers(0, len(whole)))] if lane.limit is not None else whole
            if not lane.feed(answer(held, lane.pattern, lane.after, data.draw(st.integers(1, 4)))):
                lane.confirm(head(whole, lane.pattern))
        if lanes.dry():
            assert lanes.take() == []
        before = dict(lanes._given)
        some = lanes.take()
        for stream in log:
            given_of = [m for m in some if m.stream == stream]
            end = given_of[-1].seq if given_of else 0
            assert given_of == [m for m in log[stream] if before.get(stream, 0) < m.seq <= end]
        taken += some
    assert not lanes.dry()
    assert all(map(lanes.has_ended, log))
    return taken


@given(logs(), st.data())
def test_everything_is_given_once_and_in_the_order_of_time(log: Log, data: st.DataObject) -> None:
    taken = read(log, dict.fromkeys(log, None), data)
    for stream, messages in log.items():
        assert [m for m in taken if m.stream == stream] == messages
    assert [moment(m.time) for m in taken] == sorted(moment(m.time) for m in taken)


@given(logs(clock_goes_back=True), st.data())
def test_a_clock_that_is_put_back_loses_nothing(log: Log, data: st.DataObject) -> None:
    taken = read(log, dict.fromkeys(log, None), data)
    for stream, messages in log.items():
        assert [m for m in taken if m.stream == stream] == messages


@given(logs(), st.data())
def test_stale_replicas_hide_nothing_up_to_the_limit_and_nothing_is_given_behind_it(
    log: Log, data: st.DataObject
) -> None:
    limits: dict[str, int | None] = {stream: data.draw(st.integers(0, 40)) for stream in log}
    taken = read(log, limits, data)
    for stream, messages in log.items():
        assert [m for m in taken if m.stream == stream] == [m for m in messages if m.seq <= (limits[stream] or 0)]


def test_what_comes_while_one_lane_is_read_is_not_given_before_the_other_has_it() -> None:
    """Both have 5 to reach. One is asked before 6 and 7 are stored, on its own subject and on the other's."""
    lanes = Lanes([Lane("RECORDS", "a", 0, 5), Lane("RECORDS", "b", 0, 5)])
    first, second = lanes.all
    assert first.feed(Batch([message("RECORDS", "a", 5)], 0))
    assert second.feed(Batch([message("RECORDS", "b", 4), message("RECORDS", "b", 7)], 0))
    assert [m.seq for m in lanes.take()] == [4, 5]
    assert lanes.has_ended("RECORDS")


def test_patterns_that_overlap_give_a_message_once() -> None:
    log = [message("RECORDS", "a", seq, seq) for seq in range(1, 6)]
    lanes = Lanes([Lane("RECORDS", "a", 0, None), Lane("RECORDS", "a", 0, None)])
    lanes.all[0].feed(Batch(log, 0))
    lanes.all[1].feed(Batch(log[:3], 2))
    assert lanes.take() == log[:3]
    lanes.all[1].feed(Batch(log[3:], 0))
    assert lanes.take() == log[3:]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_moments_sort_as_times_do(one: int, other: int) -> None:
    assert (moment(time_of(one)) < moment(time_of(other))) == (one < other)
