from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_cli.demo.passages import MOST_BYTES, passages_of, text_files

LINES = st.lists(st.text("ab \t", max_size=3), max_size=120)


@given(LINES)
def test_passages_hold_every_line_that_says_something_where_it_stands(lines: list[str]) -> None:
    found: dict[int, str] = {}
    for passage in passages_of("x.md", "\n".join(lines)):
        for offset, line in enumerate(passage.text.split("\n")):
            assert passage.line + offset not in found
            found[passage.line + offset] = line
    for number, line in enumerate(lines, 1):
        assert found.get(number, "") == line


def test_a_passage_ends_at_an_empty_line() -> None:
    lines = [*(f"a{i}" for i in range(20)), "", *(f"b{i}" for i in range(20))]
    first, second = passages_of("x.md", "\n".join(lines))
    assert (first.line, first.text.split("\n")[-1]) == (1, "a19")
    assert (second.line, second.text.split("\n")[0]) == (22, "b0")


def test_texts_are_found_and_what_nobody_would_read_is_not(tmp_path: Path) -> None:
    for name in ("b.md", "a.py", "deep/er/c.txt", ".hidden/d.md", "node_modules/e.js", "f.png", ".g.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    (tmp_path / "large.txt").write_bytes(b"x" * (MOST_BYTES + 1))
    (tmp_path / "link.md").symlink_to(tmp_path / "b.md")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in text_files(tmp_path)] == ["b.md", "deep/er/c.txt", "a.py"]
    assert len(text_files(tmp_path, most=2)) == 2


@pytest.mark.parametrize("text", ["", "\n\n", "   \n"])
def test_nothing_is_no_passage(text: str) -> None:
    assert not [passage for passage in passages_of("x.md", text) if passage.text.strip()]
