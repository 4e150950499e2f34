from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daena_mesh.cursors import Cursor, Positions, new_epoch
from daena_mesh.errors import InvalidCursor

CURSOR = st.builds(
    Cursor,
    st.sampled_from("RSAXYZ"),
    st.from_regex(r"[a-z0-9]{2,12}", fullmatch=True),
    st.integers(0, 10**19 - 1),
)


@given(CURSOR)
def test_a_cursor_is_written_and_read_to_the_same(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) == cursor


@given(st.lists(CURSOR, min_size=1, max_size=6, unique_by=lambda cursor: cursor.letter))
def test_positions_are_written_and_read_to_the_same(cursors: list[Cursor]) -> None:
    positions = Positions(cursors)
    assert Positions.parse(str(positions)) == positions
    assert dict(positions) == {cursor.letter: cursor for cursor in cursors}
    assert list(Positions.parse(str(positions)).values()) == cursors


@given(st.text() | st.text(alphabet="RSab01-. \n", max_size=20))
@example("")
@example("Rk3f-120\n")
@example("Rk3f-0120")
@example("Rk3f--1")
@example("Rk3f-١٢")
@example("rk3f-1")
@example("R-1")
@example("Rk3f-" + "1" * 20)
def test_everything_else_is_refused(text: str) -> None:
    refusals = []
    for read in (Cursor.parse, Positions.parse):
        try:
            read(text)
        except InvalidCursor as error:
            refusals.append(str(error))
    assert all(refusal.isascii() and len(refusal) < 500 for refusal in refusals)
    one = "[A-Z][a-z0-9]{2,12}-(0|[1-9][0-9]{0,18})"
    given = [bool(re.fullmatch(one, text)), bool(re.fullmatch(rf"{one}(\.{one}){{0,7}}", text))]
    assert len(refusals) == given.count(False)


def test_of_one_stream_given_twice_the_later_counts() -> None:
    assert str(Positions.parse("Rk3f-1.Sp9a-2.Rk3f-3")) == "Rk3f-3.Sp9a-2"


def test_a_list_without_end_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidCursor, match="more than 8 streams"):
        Positions.parse(".".join(["Rk3f-1"] * 100_000))


def test_positions_show_what_they_are() -> None:
    assert repr(Positions.parse("Rk3f-1")) == "Positions('Rk3f-1')"
    assert not Positions()


def test_an_epoch_can_stand_in_a_cursor() -> None:
    epochs = {new_epoch() for _ in range(1_000)}
    assert len(epochs) == 1_000
    for epoch in epochs:
        assert Cursor.parse(f"R{epoch}-7").epoch == epoch
