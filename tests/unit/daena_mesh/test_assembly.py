"""A message put together from its pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.assembly import Assembly


def taken(*pieces: tuple[str, int, str]) -> Assembly:
    assembly = Assembly()
    for piece in pieces:
        assembly.take(*piece)
    return assembly


def test_nothing_is_whole_and_empty() -> None:
    assert (Assembly().text, Assembly().is_whole, Assembly().run) == ("", True, None)


@given(st.lists(st.text(max_size=3), min_size=1, max_size=8), st.randoms())
def test_pieces_make_the_text_in_whatever_order_and_however_often_they_come(
    texts: list[str], random: st.DataObject
) -> None:
    pieces = [("a", index, text) for index, text in enumerate(texts)] * 2
    random.shuffle(pieces)  # type: ignore[attr-defined]
    assembly = taken(*pieces)
    assert assembly.text == "".join(texts)
    assert assembly.is_whole


def test_another_run_begins_anew_and_the_older_is_ignored_from_then_on() -> None:
    assembly = taken(("a", 0, "Hel"), ("a", 1, "lo"))
    assert not assembly.take("b", 3, "from the middle of an unknown run")
    assert assembly.text == "Hello"
    assert assembly.take("b", 0, "Good")
    assert not assembly.take("a", 2, "late")
    assert not assembly.take("a", 0, "late")
    assert assembly.take("b", 1, " day")
    assert not assembly.take("b", 1, " day")
    assert (assembly.text, assembly.run) == ("Good day", "b")


def test_it_says_where_something_is_missing() -> None:
    assert not taken(("a", 3, "from"), ("a", 4, " the middle")).is_whole
    assert taken(("a", 3, "from"), ("a", 4, " the middle")).text == "from the middle"
    assert not taken(("a", 0, "a"), ("a", 2, "c")).is_whole
