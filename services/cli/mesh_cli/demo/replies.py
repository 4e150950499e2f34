"""What the librarian says to a question: the lines that speak of it, and where they stand."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from mesh_cli.demo.library import Hit, words_of
from mesh_cli.demo.passages import Passage

_LINES = 4
_CHARS = 400
_LANGUAGES = {"py": "python", "js": "javascript", "mjs": "javascript", "md": "markdown", "toml": "toml", "json": "json"}
_STEM = 5
"""Letters that two forms of a word share, near enough: cursor and cursors, resume and resuming."""


class Shelf(NamedTuple):
    """How much the librarian can look into."""

    files: int
    of: int
    """Of how many that were found; more than ``files`` while they are still being read."""
    folder: str


def reply(question: str, hits: Sequence[Hit], shelf: Shelf) -> str:
    """The whole answer, as Markdown."""
    so_far = f"{shelf.files} of {shelf.of} files, so far," if shelf.files < shelf.of else f"{shelf.files} files"
    if not hits:
        return f"Nothing in {so_far} of {shelf.folder} speaks of that. I know only what stands in them."
    wanted = words_of(question)
    found = [_place(number, hit.passage, wanted) for number, hit in enumerate(hits, 1)]
    return "\n\n".join([f"From {so_far} of {shelf.folder}:", *found])


def _place(number: int, passage: Passage, wanted: Sequence[str]) -> str:
    """Where a passage speaks of what is wanted, and what it says there."""
    lines = passage.text.split("\n")
    begin = best_line(lines, wanted)
    quoted = textwrap.dedent("\n".join(line.rstrip() for line in lines[begin : begin + _LINES])).strip("\n")
    if len(quoted) > _CHARS:
        quoted = quoted[:_CHARS].rpartition(" ")[0] + " …"
    fence = "````" if "```" in quoted else "```"
    language = _LANGUAGES.get(passage.path.rpartition(".")[2], "")
    return f"**{number}. {passage.path}, line {passage.line + begin}**\n{fence}{language}\n{quoted}\n{fence}"


def best_line(lines: Sequence[str], wanted: Sequence[str]) -> int:
    """The line from which most of the wanted words stand within the lines that are quoted."""
    stems = [word[:_STEM] for word in wanted]

    def weight(at: int) -> tuple[int, int, int]:
        quoted = " ".join(lines[at : at + _LINES]).lower()
        first = lines[at].lower()
        plain = len(re.findall(r"(?<!\S)[a-z]+(?=[ .,;:?!]|$)", quoted))  # words, as sentences have more of than code
        return sum(stem in quoted for stem in stems), sum(stem in first for stem in stems), plain

    return max(range(len(lines)), key=weight, default=0)


def tokens_of(text: str) -> list[str]:
    """Cut ``text`` as a model would stream it: words with the space before them. Together they are the text."""
    return re.findall(r"\s*\S+|\s+$", text)
