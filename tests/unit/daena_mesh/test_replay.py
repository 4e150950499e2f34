from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.reader import Batch
from daena_mesh.replay import merge, moment
from daena_mesh.stored import Stored

PATTERNS = {"RECORDS": ["a", "b"], "SIGNALS": ["a", "b", "c"]}
START = datetime(2026, 1, 1, tzinfo=UTC)


def time_of(tick: int) -> bytes:
    """Write a time as the server does: without trailing zeros."""
    text = (START + timedelta(milliseconds=tick * 100)).isoformat().removesuffix("+00:00")
    return (text.rstrip("0").rstrip(".") if "." in text else text).encode() + b"Z"


def message(stream: str, subject: str, seq: int, tick: int) -> Stored:
    return Stored(stream, subject.encode(), seq, 0, time_of(tick), b"", b"")


@st.composite
def logs(draw: st.DrawFn, *, clock_goes_back: bool = False) -> dict[str, list[Stored]]:
    """Draw streams whose sequences have holes and whose times grow, or not."""
    log: dict[str, list[Stored]] = {}
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


def replay(log: Mapping[str, list[Stored]], data: st.DataObject) -> list[Stored]:
    """Read everything, in batches of random sizes, as `read` does."""
    after = dict.fromkeys(log, 0)
    shown: list[Stored] = []
    for _ in range(100):
        batches = {
            stream: [answer(log[stream], p, after[stream], data.draw(st.integers(1, 4))) for p in patterns]
            for stream, patterns in PATTERNS.items()
        }
        messages, positions, ended = merge(batches, after)
        assert all(positions[stream] >= after[stream] for stream in log)
        for stream in log:
            behind = [m for m in log[stream] if m.seq > positions[stream]]
            given_of = [m for m in messages if m.stream == stream]
            assert given_of == [m for m in log[stream] if after[stream] < m.seq <= positions[stream]]
            assert (stream in ended) <= (not behind)
        shown += messages
        after = positions
        if len(ended) == len(log):
            return shown
        assert messages, "a replay that does not end goes on"
    raise AssertionError("it never ended")


@given(logs(), st.data())
def test_everything_is_given_once_and_in_the_order_of_time(log: dict[str, list[Stored]], data: st.DataObject) -> None:
    shown = replay(log, data)
    for stream, messages in log.items():
        assert [m for m in shown if m.stream == stream] == messages
    assert len(shown) == sum(map(len, log.values()))
    assert [moment(m.time) for m in shown] == sorted(moment(m.time) for m in shown)


@given(logs(clock_goes_back=True), st.data())
def test_a_clock_that_is_put_back_loses_nothing(log: dict[str, list[Stored]], data: st.DataObject) -> None:
    shown = replay(log, data)
    for stream, messages in log.items():
        assert [m for m in shown if m.stream == stream] == messages


def test_patterns_that_overlap_give_a_message_once() -> None:
    log = [message("RECORDS", "a", seq, seq) for seq in range(1, 6)]
    messages, positions, ended = merge({"RECORDS": [Batch(log, 0), Batch(log[:3], 2)]}, {"RECORDS": 0})
    assert (messages, positions, ended) == (log[:3], {"RECORDS": 3}, set())


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_moments_sort_as_times_do(one: int, other: int) -> None:
    assert (moment(time_of(one)) < moment(time_of(other))) == (one < other)
