"""Which piece of a text goes out when."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import InvalidEvent
from daena_mesh.pieces import (
    BEAT_S,
    EVERY_S,
    FIRST_BEAT_S,
    MOST_CHARACTERS,
    RENEW_AFTER_S,
    Piece,
    Pieces,
    fitting,
    size_bytes,
)

texts = st.text(st.characters(exclude_categories=["Cs"]))


def pieces(now: float = 100.0) -> Pieces:
    runs = itertools.count(1)
    return Pieces(now, new_run=lambda: f"run {next(runs)}")


def test_the_first_text_goes_out_at_once_and_more_of_it_a_moment_later() -> None:
    text = pieces()
    text.write("Hel")
    assert text.due_at <= 100
    assert text.take(100.01) == Piece("run 1", 0, "Hel")
    text.write("lo")
    text.write("!")
    assert text.due_at == pytest.approx(100.01 + EVERY_S)
    assert text.take(100.05) == Piece("run 1", 1, "lo!")
    assert (text.text, text.is_waiting) == ("Hello!", False)


def test_an_idle_writer_says_that_it_lives() -> None:
    text = pieces()
    assert text.due_at == pytest.approx(100 + FIRST_BEAT_S)
    assert text.take(100.3) == Piece("run 1", 0, "")
    assert text.due_at == pytest.approx(100.3 + BEAT_S)
    text.write("late")
    assert text.due_at <= 100.3, "the first text waits for nothing"
    assert text.take(103) == Piece("run 1", 1, "late")
    assert text.due_at == pytest.approx(103 + BEAT_S)


def test_what_is_much_at_once_goes_out_in_several_pieces() -> None:
    text = pieces()
    much = "".join(map(str, range(MOST_CHARACTERS)))
    text.write(much)
    sent = []
    while text.is_waiting:
        sent.append(text.take(100))
    assert "".join(piece.text for piece in sent) == much
    assert [piece.index for piece in sent] == list(range(len(sent)))
    assert max(len(piece.text) for piece in sent) == MOST_CHARACTERS


def test_a_long_run_is_followed_by_another_that_has_all_of_the_text() -> None:
    text = pieces()
    text.write("a")
    text.take(100)
    text.write("b")
    assert text.take(100 + RENEW_AFTER_S) == Piece("run 1", 1, "b")
    assert text.take(101 + RENEW_AFTER_S) == Piece("run 2", 0, "ab")
    text.write("c")
    assert text.take(102 + RENEW_AFTER_S) == Piece("run 2", 1, "c")
    text.renew(600)
    assert text.take(600) == Piece("run 3", 0, "abc")


def test_each_writer_has_a_run_of_its_own() -> None:
    runs = {Pieces(0).run for _ in range(100)}
    assert len(runs) == 100
    assert all(len(run) == 8 and int(run, 16) >= 0 for run in runs)


@given(texts)
def test_the_size_is_what_it_takes_in_a_json_string(text: str) -> None:
    assert size_bytes(text) == len(msgspec.json.encode({"": text})) - len(msgspec.json.encode({"": ""}))


@given(texts, st.integers(-3, 40))
def test_as_much_as_fits_is_taken_and_no_character_less(text: str, room: int) -> None:
    kept = fitting(text, room)
    assert text.startswith(kept)
    assert not kept or size_bytes(kept) <= room
    assert len(kept) == len(text) or size_bytes(text[: len(kept) + 1]) > room


def test_what_is_no_unicode_is_refused_and_nothing_of_it_kept() -> None:
    text = pieces()
    for write in (text.write, size_bytes, lambda half: fitting(half, 100)):
        with pytest.raises(InvalidEvent, match="UTF-8"):
            write("\ud83d")
    assert (text.text, text.size_bytes, text.is_waiting) == ("", 0, False)
