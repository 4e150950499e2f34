from __future__ import annotations

import pytest

from mesh_cli.demo.library import Library, words_of
from mesh_cli.demo.passages import passages_of

CURSORS = "A cursor is the position of one event.\nClients resume from it."
PUMPS = "The pump moves water.\nIt is made of steel."


def library() -> Library:
    made = Library()
    made.put("docs/cursors.md", passages_of("docs/cursors.md", CURSORS))
    made.put("pumps.txt", passages_of("pumps.txt", PUMPS))
    made.commit()
    return made


def found(library: Library, question: str) -> list[str]:
    return [hit.passage.path for hit in library.find(question)]


@pytest.mark.parametrize(
    ("question", "path"),
    [
        ("What is a cursor?", "docs/cursors.md"),
        ("how are cursors resumed", "docs/cursors.md"),
        ("What does the pump move?", "pumps.txt"),
        ("Steel!", "pumps.txt"),
    ],
)
def test_what_fits_best_comes_first(question: str, path: str) -> None:
    assert found(library(), question)[0] == path


@pytest.mark.parametrize(
    "question", ["", "the", "?!", "zebra", '"(', "path:[a TO b]", "-a AND *", "\0", "\ud800", "a" * 9_999]
)
def test_any_question_is_answered(question: str) -> None:
    assert isinstance(found(library(), question), list)


def test_a_file_that_was_read_again_stands_there_once() -> None:
    made = library()
    made.put("pumps.txt", passages_of("pumps.txt", "Now it speaks of giraffes."))
    assert found(made, "giraffes") == []
    made.commit()
    assert found(made, "giraffes") == ["pumps.txt"]
    assert found(made, "pump steel") == ["pumps.txt"], "the name of a file counts"
    assert found(made, "steel") == []
    made.put("pumps.txt", ())
    made.commit()
    assert found(made, "giraffes pumps") == []


def test_common_words_are_left_out_unless_there_are_no_others() -> None:
    assert words_of("What is the cursor, and what is a Cursor?") == ["cursor"]
    assert words_of("who are you") == ["who", "are", "you"]
