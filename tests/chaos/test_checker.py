"""The checker finds what was planted, and nothing where nothing was."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.checker import Finding, check
from tests.chaos.ledger import Book, Run, Told, Track, View


def book_of(begun: int, unacknowledged: frozenset[int] = frozenset()) -> Book:
    book = Book("chat.s1.message")
    for _ in range(begun):
        number = book.begin()
        if number not in unacknowledged:
            book.acknowledge(number, time.monotonic())
    return book


def view_of(items: list[int | Told], owed_from: int = 0) -> View:
    track = Track()
    for item in items:
        if isinstance(item, Told):
            track.told(item.reason)
        else:
            track.saw(item)
    return View("client 1", "chat.s1.message", owed_from, track)


def found(book: Book, view: View, *, is_ordered: bool = True) -> dict[str, set[int]]:
    kinds: dict[str, set[int]] = {}
    for finding in check(book, view, is_ordered=is_ordered):
        kinds.setdefault(finding.kind, set()).update(range(finding.first, finding.last + 1))
    return kinds


@st.composite
def stories(draw: st.DrawFn) -> tuple[Book, list[int]]:
    """What was published, some of it never acknowledged, and a faithful account of it."""
    begun = draw(st.integers(2, 40))
    unknown = draw(st.frozensets(st.integers(0, begun - 1), max_size=3))
    stored = draw(st.frozensets(st.sampled_from(sorted(unknown)))) if unknown else frozenset()
    return book_of(begun, unknown), [n for n in range(begun) if n not in unknown or n in stored]


@given(stories())
def test_a_faithful_account_is_faultless(story: tuple[Book, list[int]]) -> None:
    book, numbers = story
    assert check(book, view_of([*numbers])) == []


@given(stories(), st.data())
def test_every_planted_loss_is_found(story: tuple[Book, list[int]], data: st.DataObject) -> None:
    book, numbers = story
    gone = data.draw(st.frozensets(st.sampled_from(numbers), min_size=1)) if numbers else frozenset()
    shown = [number for number in numbers if number not in gone]
    expected = gone & book.acked
    assert found(book, view_of([*shown])) == ({"lost": set(expected)} if expected else {})


@given(stories(), st.data())
def test_every_planted_duplicate_is_found(story: tuple[Book, list[int]], data: st.DataObject) -> None:
    book, numbers = story
    if not numbers:
        return
    at = data.draw(st.integers(0, len(numbers) - 1))
    later = data.draw(st.integers(at + 1, len(numbers)))
    shown = [*numbers[:later], numbers[at], *numbers[later:]]
    assert found(book, view_of([*shown])) == {"doubled": {numbers[at]}}
    assert found(book, view_of([*shown]), is_ordered=False) == {"doubled": {numbers[at]}}


@given(stories(), st.data())
def test_every_planted_swap_is_found(story: tuple[Book, list[int]], data: st.DataObject) -> None:
    book, numbers = story
    if len(numbers) < 2:
        return
    at = data.draw(st.integers(0, len(numbers) - 2))
    other = data.draw(st.integers(at + 1, len(numbers) - 1))
    shown = [*numbers]
    shown[at], shown[other] = shown[other], shown[at]
    findings = found(book, view_of([*shown]))
    assert set(findings) == {"reordered"}
    assert numbers[at] in findings["reordered"]
    assert found(book, view_of([*shown]), is_ordered=False) == {}


@given(stories(), st.data())
def test_a_gap_excuses_what_is_missing_where_it_was_told_and_nothing_else(
    story: tuple[Book, list[int]], data: st.DataObject
) -> None:
    book, numbers = story
    begin = data.draw(st.integers(0, len(numbers)))
    end = data.draw(st.integers(begin, len(numbers)))
    missing = set(numbers[begin:end]) & book.acked
    items: list[int | Told] = [*numbers[:begin], Told("reset"), *numbers[end:]]
    assert found(book, view_of(items)) == ({"told": missing} if missing else {})
    silent: list[int | Told] = [*numbers[:begin], *numbers[end:]]
    assert found(book, view_of(silent)) == ({"lost": missing} if missing else {})
    if begin > 0 and missing:  # told too early, before the last number that came
        early: list[int | Told] = [*numbers[: begin - 1], Told("reset"), *numbers[begin - 1 : begin], *numbers[end:]]
        assert found(book, view_of(early)) == {"lost": missing}


@given(stories(), st.integers(0, 40))
def test_who_came_late_is_owed_the_rest(story: tuple[Book, list[int]], owed_from: int) -> None:
    book, numbers = story
    assert check(book, view_of([n for n in numbers if n >= owed_from], owed_from)) == []
    assert found(book, view_of([], owed_from)).get("lost", set()) == {n for n in book.acked if n >= owed_from}


@given(stories(), st.integers(0, 3))
def test_what_nobody_published_is_found(story: tuple[Book, list[int]], beyond: int) -> None:
    book, numbers = story
    assert found(book, view_of([*numbers, book.begun + beyond])) == {"invented": {book.begun + beyond}}


@given(st.lists(st.integers(0, 30) | st.just(Told("expired"))))
def test_a_track_keeps_everything_in_its_order(items: list[int | Told]) -> None:
    assert list(view_of(items).track.items()) == items


def test_a_track_is_as_short_as_what_went_well() -> None:
    assert Track(range(10_000)).entries == [Run(0, 9_999)]


def test_a_finding_says_what_where_and_for_whom() -> None:
    assert [str(finding) for finding in check(book_of(6), view_of([0, 4, 5]))] == [
        "client 1, chat.s1.message: 1 to 3 lost"
    ]
    assert Finding("doubled", "the log", "s", 3, 3).size == 1
