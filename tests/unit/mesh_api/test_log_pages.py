"""Pages of the log: which messages they hold, and where they go on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.codec import Poison
from daena_mesh.errors import InvalidQuery
from daena_mesh.layout import RECORDS, SIGNALS
from daena_mesh.stored import Stored
from daena_mesh.want import Chunk
from mesh_api.log_events import frame, time_at
from mesh_api.log_pages import MOST_BYTES, cut, newest_of, time_of


def message(seq: int, stream: str = RECORDS, *, second: int | None = None, body: bytes = b"{}") -> Stored:
    time = f"2026-11-27T00:00:{seq if second is None else second:02d}Z".encode()
    return Stored(stream, b"chat.s1.message" if stream == RECORDS else b"agent.a.status", seq, 0, time, b"", body)


def test_a_page_ends_behind_its_last_message_and_the_next_one_misses_nothing() -> None:
    found = [message(3), message(1, SIGNALS), message(4), message(2, SIGNALS)]
    chunk = Chunk(found, {RECORDS: 9, SIGNALS: 9}, True, {})
    after = {RECORDS: 2, SIGNALS: 0}
    page = cut(chunk, after, 3)
    assert (page.messages, page.more) == (found[:3], True)
    assert page.following == {RECORDS: 4, SIGNALS: 1}
    assert page.previous == {RECORDS: 3, SIGNALS: 1}
    whole = cut(chunk, after, 4)
    assert (whole.messages, whole.more, whole.following) == (found, False, {RECORDS: 9, SIGNALS: 9})
    assert cut(chunk._replace(ended=False), after, 4).more
    assert cut(chunk, after, 1).following == {RECORDS: 3, SIGNALS: 0}


def test_what_the_limits_took_is_told_and_not_asked_for_again() -> None:
    chunk = Chunk([message(50), message(51)], {RECORDS: 51}, True, {RECORDS: 50})
    page = cut(chunk, {RECORDS: 2}, 1)
    assert (page.lost, page.following, page.previous) == ({RECORDS: (2, 49)}, {RECORDS: 50}, {RECORDS: 50})


@given(
    records=st.lists(st.integers(0, 59), max_size=20).map(sorted),
    signals=st.lists(st.integers(0, 59), max_size=20).map(sorted),
    count=st.integers(1, 45),
)
def test_the_newest_of_several_streams_are_by_time_and_in_the_order_of_each(
    records: list[int], signals: list[int], count: int
) -> None:
    runs = [
        [message(i + 1, RECORDS, second=second) for i, second in enumerate(records)],
        [message(i + 1, SIGNALS, second=second) for i, second in enumerate(signals)],
    ]
    found = newest_of(runs, count)
    assert len(found) == min(count, len(records) + len(signals))
    assert [m.time for m in found] == sorted(m.time for m in found)
    for run in runs:
        own = [m for m in found if m.stream == (run[0].stream if run else "")]
        assert not own or own == run[-len(own) :]
    left = [m.time for run in runs for m in run if m not in found]
    assert not left or not found or max(left) <= found[0].time


def test_the_newest_are_a_mebibyte_at_most_but_one_at_least() -> None:
    large = [message(seq, body=b"x" * (MOST_BYTES // 2)) for seq in (1, 2, 3)]
    assert newest_of([large], 3) == large[2:]
    assert newest_of([[message(1, body=b"x" * 2 * MOST_BYTES)]], 3)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-27T09:30:00Z", datetime(2026, 11, 27, 9, 30, tzinfo=UTC)),
        ("2026-11-27T09:30:00.5+02:00", datetime(2026, 11, 27, 7, 30, 0, 500_000, tzinfo=UTC)),
        ("1850-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59-23:00", datetime(2200, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_read_with_their_offset(text: str, time: datetime) -> None:
    assert time_at(text) == time


@pytest.mark.parametrize("text", ["", "now", "2026-11-27", "2026-11-27T09:30:00", "1795401600", "9" * 400])
def test_what_is_no_time_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InvalidQuery, match="is no time such as"):
        time_at(text)


def test_when_something_was_stored_is_told_to_the_microsecond() -> None:
    at = datetime(2026, 11, 27, 0, 0, 1, 500_000, tzinfo=UTC)
    assert time_of(Stored("", b"", 1, 0, b"2026-11-27T00:00:01.5Z", b"", b"")) == at
    assert time_of(Stored("", b"", 1, 0, b"2026-11-27T00:00:01.500000999Z", b"", b"")) == at


def test_a_frame_has_the_position_and_a_body_that_is_no_event_has_none() -> None:
    bare = message(7, body=b' {"text": "hi"} ')
    assert frame(bare, "Rab-7", 100) == (
        b'{"topic":"events","cursor":"Rab-7","subject":"chat.s1.message","event_type":"chat.message",'
        b'"payload":{"text": "hi"},"id":"Rab-7","timestamp":"2026-11-27T00:00:07Z"}'
    )
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for line, is_told in (
        (b"traceparent: " + trace, True),
        (b"Traceparent:" + trace, True),
        (b'traceparent: "', False),
        (trace, False),
    ):
        bare.headers = b"NATS/1.0\r\nNats-Msg-Id: e\r\n" + line
        assert (b'"traceparent":"%b",' % trace in frame(bare, "Rab-7", 100)) is is_told
    for body in (b"[]", b"\xff", b"{" + b" " * 100 + b"}"):
        with pytest.raises(Poison):
            frame(message(7, body=body), "Rab-7", 100)
    with pytest.raises(Poison):
        frame(Stored(RECORDS, b"chat.s 1.message", 1, 0, b"", b"", b"{}"), "Rab-1", 100)
