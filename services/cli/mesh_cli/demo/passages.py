"""The texts of a folder, cut into passages that know where they stand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MOST_FILES = 2_000
MOST_BYTES = 262_144
_LINES = 24
PROSE = (".md", ".rst", ".txt", ".adoc", ".org")
"""What is written for people."""
_KINDS = frozenset(
    (
        *(*PROSE, ".tex", ".html", ".css", ".toml", ".yaml", ".yml", ".ini", ".cfg"),
        *(".py", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".go", ".rs", ".java", ".kt", ".c", ".h", ".cpp", ".hpp", ".cs"),
        *(".rb", ".php", ".swift", ".scala", ".sh", ".sql"),
    )
)
_NOT_INTO = frozenset({"node_modules", "__pycache__", "build", "dist", "target", "venv", "vendor", "site-packages"})


class Passage(NamedTuple):
    """Some lines of a file."""

    path: str
    """Relative to the folder."""
    line: int
    """The number of its first line, from 1."""
    text: str


def text_files(folder: Path, most: int = MOST_FILES) -> list[Path]:
    """The files of ``folder`` that a person might read, ``most`` at most: prose first, then by their names.

    Hidden ones, what was installed or built, links, and what is larger than 256 KiB are left out.
    """
    found: list[Path] = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NOT_INTO)
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and path.suffix.lower() in _KINDS and _is_small(path):
                found.append(path)
    found.sort(key=lambda path: path.suffix.lower() not in PROSE)
    return found[:most]


def _is_small(path: Path) -> bool:
    try:
        return not path.is_symlink() and path.stat().st_size <= MOST_BYTES
    except OSError:  # it has gone since
        return False


def passages_of(path: str, text: str) -> Iterator[Passage]:
    """Cut ``text`` into passages of some 24 lines, at an empty line where there is one in the second half."""
    lines = text.splitlines()
    begin = 0
    while begin < len(lines):
        end = min(begin + _LINES, len(lines))
        if end < len(lines):
            empty = (at for at in range(end, begin + _LINES // 2, -1) if not lines[at].strip())
            end = next(empty, end)
        if content := "\n".join(lines[begin:end]).strip("\n"):
            blank = next(at for at in range(begin, end) if lines[at])
            yield Passage(path, blank + 1, content)
        begin = end
