from __future__ import annotations

import asyncio
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh import window
from daena_mesh.errors import MeshUnavailable
from daena_mesh.reader import Batch, StreamReader
from daena_mesh.stored import Stored
from daena_mesh.subjects import matches
from daena_mesh.want import Want
from daena_mesh.window import Window

RECORDS, SIGNALS = "RECORDS", "SIGNALS"
SUBJECTS = {
    RECORDS: [f"{domain}.{i}.{verb}" for i in "123" for domain, verb in (("chat", "message"), ("session", "updated"))],
    SIGNALS: [f"chat.{i}.delta" for i in "123"],
}


class Leader:
    """A log that answers at once, never stale, in batches of a few."""

    def __init__(self, messages: list[Stored], most: int) -> None:
        self.messages = messages
        self.most = most
        self.asked = 0
        self.kept = 0
        self.last = max([12, *(message.seq for message in messages)])
        """What lies behind the newest message has expired."""

    async def bounds(self, stream: str) -> tuple[int, int]:
        return 1, self.last

    async def kept_from(self, stream: str) -> int:
        return self.kept if stream == RECORDS else 0

    async def head(self, stream: str, patterns: tuple[str, ...]) -> int:
        return max((m.seq for m in self.on(stream, patterns[0])), default=0)

    async def batch(self, stream: str, pattern: str, after: int, **_bounds: int) -> Batch:
        self.asked += 1
        left = [m for m in self.on(stream, pattern) if m.seq > after]
        return Batch(left[: self.most], max(0, len(left) - self.most))

    def on(self, stream: str, pattern: str) -> list[Stored]:
        return [m for m in self.messages if m.stream == stream and matches(pattern, m.subject.decode())]


def log_of(subjects: dict[str, list[str]], most: int) -> Leader:
    return Leader(
        [
            Stored(stream, subject.encode(), seq, 0, b"2026-01-01T00:00:%02d.%dZ" % (seq, i), b"", b"{}")
            for i, (stream, drawn) in enumerate(subjects.items())
            for seq, subject in enumerate(drawn, 1)
        ],
        most,
    )


def chat(ident: str) -> dict[str, tuple[str, ...]]:
    return {RECORDS: (f"chat.{ident}.>", f"session.{ident}.>"), SIGNALS: (f"chat.{ident}.>",)}


def extend(over: Window, log: Leader, reach: dict[str, int]) -> bool:
    return asyncio.run(over.extend(cast("StreamReader", log), reach))


logs = st.tuples(
    st.fixed_dictionaries({stream: st.lists(st.sampled_from(own), max_size=12) for stream, own in SUBJECTS.items()}),
    st.integers(1, 5),
).map(lambda drawn: log_of(*drawn))
places = st.fixed_dictionaries({stream: st.integers(0, 12) for stream in SUBJECTS})


@given(logs, st.lists(st.tuples(st.sampled_from("123"), places), min_size=1, max_size=5), places)
def test_each_is_given_what_it_wants_and_no_more(
    log: Leader, readers: list[tuple[str, dict[str, int]]], ends: dict[str, int]
) -> None:
    wants = [Want(chat(ident), after, ends) for ident, after in readers]
    over = Window(wants)
    assert all(map(over.suits, wants))
    reach = {stream: seq for stream, seq in ends.items() if any(want.needs(stream) for want in wants)}
    assert extend(over, log, reach)
    for (ident, after), want in zip(readers, wants, strict=True):
        assert over.has(want)
        chunk = over.give(want)
        assert chunk.ended
        for stream, patterns in chat(ident).items():
            mine = [m.seq for pattern in patterns for m in log.on(stream, pattern)]
            expected = sorted(seq for seq in mine if after[stream] < seq <= ends[stream])
            assert [m.seq for m in chunk.messages if m.stream == stream] == expected
            assert chunk.positions[stream] == max(after[stream], ends[stream])
        assert [m.time for m in chunk.messages] == sorted(m.time for m in chunk.messages)


@given(logs, places)
def test_one_that_comes_later_is_given_the_same_and_what_came_since_is_read_on(
    log: Leader, ends: dict[str, int]
) -> None:
    over = Window([Want(chat("1"), dict.fromkeys(SUBJECTS, 0), dict.fromkeys(SUBJECTS, 12))])
    extend(over, log, ends)
    asked = log.asked
    early = Want(chat("1"), dict.fromkeys(SUBJECTS, 0), ends)
    assert over.has(early)
    over.give(early)
    assert log.asked == asked
    late = Want(chat("1"), dict.fromkeys(SUBJECTS, 0), dict.fromkeys(SUBJECTS, 12))
    assert extend(over, log, dict.fromkeys(SUBJECTS, 12))
    assert {m.seq for m in over.give(late).messages if m.stream == RECORDS} == {
        m.seq for pattern in chat("1")[RECORDS] for m in log.on(RECORDS, pattern)
    }


def test_it_suits_who_stands_within_it() -> None:
    over = Window([Want(chat("1"), {RECORDS: 10, SIGNALS: 20}, {RECORDS: 90, SIGNALS: 20})])
    reach = {RECORDS: 95, SIGNALS: 10}
    assert over.suits(Want(chat("1"), {RECORDS: 10, SIGNALS: 20}, reach))
    assert not over.suits(Want(chat("1"), {RECORDS: 9, SIGNALS: 20}, reach)), "it begins later"
    assert not over.suits(Want(chat("1"), {RECORDS: 10, SIGNALS: 5}, reach)), "nobody wanted signals"
    assert over.suits(Want({RECORDS: (">",)}, {RECORDS: 10}, reach))


def test_who_wants_more_than_fits_is_given_a_part_and_stands_behind_it() -> None:
    log = log_of({RECORDS: ["chat.1.message"] * 12}, 5)
    want = Want(chat("1"), dict.fromkeys(SUBJECTS, 0), {RECORDS: 12, SIGNALS: 0}, most_bytes=1_000)
    over = Window([want])
    assert extend(over, log, {RECORDS: 12})
    chunk = over.give(want)
    assert [m.seq for m in chunk.messages] == [1, 2, 3, 4]
    assert (chunk.ended, chunk.positions[RECORDS]) == (False, 4)


def test_a_window_that_is_too_much_ends_where_it_is_and_all_go_on_from_there() -> None:
    log = log_of({RECORDS: ["chat.1.message", "chat.2.message"] * 6}, 4)
    wants = [Want(chat(ident), dict.fromkeys(SUBJECTS, 0), {RECORDS: 12, SIGNALS: 0}) for ident in "123"]
    over = Window(wants)
    over.size = window.MOST_WINDOW_BYTES - 1_000
    assert not extend(over, log, {RECORDS: 12})
    for want in wants:
        chunk = over.give(want)
        assert (chunk.ended, chunk.positions[RECORDS]) == (False, 4)
        assert len(chunk.messages) == (0 if "chat.3.>" in want.filters[RECORDS] else 2)


def test_what_the_limits_take_meanwhile_ends_a_window() -> None:
    log = log_of({RECORDS: ["chat.1.message"] * 12}, 5)
    want = Want(chat("1"), dict.fromkeys(SUBJECTS, 0), {RECORDS: 12, SIGNALS: 0})
    over = Window([want])
    log.kept = 5
    assert not extend(over, log, {RECORDS: 12})
    assert not over.give(want).ended


async def test_the_server_is_left_alone_between_batches_for_as_long_as_one_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sleep, rests = asyncio.sleep, list[float]()

    class Slow(Leader):
        async def batch(self, stream: str, pattern: str, after: int, **bounds: int) -> Batch:
            assert bounds == {"most_bytes": window.BATCH_BYTES}
            await sleep(0.02)
            return await super().batch(stream, pattern, after)

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    log = Slow([Stored(RECORDS, b"chat.1.message", seq, 0, b"", b"", b"{}") for seq in range(1, 11)], 3)
    behind = Window([Want({RECORDS: (">",)}, {RECORDS: 0}, {RECORDS: 10})])
    monkeypatch.setattr(asyncio, "sleep", rest)
    assert await behind.extend(cast("StreamReader", log), {RECORDS: 10})
    first, *others = rests
    assert (log.asked, first, len(others)) == (4, 0, 3)
    assert all(0.02 <= rest_s <= 0.1 for rest_s in others)


def test_where_a_stream_has_not_come_to_nothing_counts_as_read() -> None:
    log = log_of({RECORDS: ["chat.1.message"] * 4, SIGNALS: []}, 3)
    log.last = 3
    want = Want(chat("1"), {RECORDS: 0, SIGNALS: 0}, {RECORDS: 4, SIGNALS: 0})
    over = Window([want])
    with pytest.raises(MeshUnavailable, match="RECORDS"):
        extend(over, log, {RECORDS: 4})
    log.last = 4
    assert extend(over, log, {RECORDS: 4})
    assert [message.seq for message in over.give(want).messages] == [1, 2, 3, 4]
