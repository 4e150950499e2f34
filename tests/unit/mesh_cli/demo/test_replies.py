from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh_cli.demo.library import Hit
from mesh_cli.demo.load import load, state_of
from mesh_cli.demo.passages import Passage
from mesh_cli.demo.replies import Shelf, best_line, reply, tokens_of

SHELF = Shelf(3, 3, "docs")
LINES = ("# Words", "", "Nothing here.", "More of nothing.", "Nor here.", "", "A cursor is a position.", "It is text.")
PASSAGE = Passage("docs/a.md", 10, "\n".join(LINES))


def test_the_reply_names_file_and_line_and_quotes_it() -> None:
    text = reply("What is a cursor?", [Hit(PASSAGE, 1.0)], SHELF)
    quoted = "```markdown\nA cursor is a position.\nIt is text.\n```"
    assert text == f"From 3 files of docs:\n\n**1. docs/a.md, line 16**\n{quoted}"


def test_it_says_when_it_has_not_read_everything_or_found_nothing() -> None:
    assert reply("zebra", [], SHELF) == "Nothing in 3 files of docs speaks of that. I know only what stands in them."
    assert reply("cursor", [Hit(PASSAGE, 1.0)], Shelf(1, 3, "docs")).startswith("From 1 of 3 files, so far, of docs:")


def test_a_long_line_is_cut() -> None:
    text = reply("word", [Hit(Passage("a", 1, "word " * 1_000), 1.0)], SHELF)
    assert len(text) < 500
    assert text.endswith(" …\n```")


def test_what_stands_far_inside_is_quoted_from_its_beginning() -> None:
    text = reply("word", [Hit(Passage("a.py", 1, "        word\n            of it"), 1.0)], SHELF)
    assert text.endswith("\n```python\nword\n    of it\n```")


def test_what_has_a_fence_itself_is_quoted_in_a_longer_one() -> None:
    text = reply("word", [Hit(Passage("a.py", 1, "word\n```\nx"), 1.0)], SHELF)
    assert text.endswith("\n````python\nword\n```\nx\n````")


@given(st.lists(st.text(max_size=20), min_size=1, max_size=30), st.lists(st.text("abc", min_size=1), max_size=3))
def test_the_best_line_is_one_of_them(lines: list[str], wanted: list[str]) -> None:
    assert 0 <= best_line(lines, wanted) < len(lines)


@given(st.text())
def test_the_tokens_are_the_text(text: str) -> None:
    assert "".join(tokens_of(text)) == text


def test_one_word_says_how_the_machine_is() -> None:
    assert [state_of(*percents) for percents in ((10, 50, 50), (90, 50, 50), (99, 95, 50), (10, 50, 95))] == [
        *("well", "busy", "short of memory", "short of disk")
    ]


def test_the_load_of_this_machine_is_read() -> None:
    now = load()
    assert now["cores"] >= 1
    assert 0 < now["memory_percent"] < 100
    assert now["processes"] > 1
