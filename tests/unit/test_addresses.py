"""No file names a package registry, or a folder of the machine it was written on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.tracked import ROOT, tracked_files

# Written apart, so that this file may hold them.
REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted",
    "registry." + "npmjs",
    "proxy." + "golang",
    "crates" + ".io",
]
OPTIONS = ["index" + "-url", "INDEX" + "_URL", "find" + "-links", "trusted" + "-host"]
FOLDERS = ["/r" + "oot/", "/ho" + "me/", "/Us" + "ers/", "/wo" + "rk/", "/opt/wh" + "eels", "/tm" + "p/w/"]

# What make lock tells uv not to write.
ALLOWED = re.compile("--no-emit-(?:index|find)-[a-z]+")
FORBIDDEN = re.compile(
    "|".join([*map(re.escape, [*REGISTRIES, *OPTIONS]), *(rf"(?<![\w.-]){folder}" for folder in FOLDERS)])
)


def offences(text: str) -> list[str]:
    return [
        f"{number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        if FORBIDDEN.search(ALLOWED.sub("", line))
    ]


@pytest.mark.parametrize("word", [*REGISTRIES, *OPTIONS, *FOLDERS])
def test_each_is_recognised(word: str) -> None:
    assert offences(f"fine\nsee {word}x\n") == [f"2: see {word}x"]


def test_what_the_lock_is_made_with_is_allowed() -> None:
    assert offences("uv pip compile --no-emit-index-url --no-emit-find-links") == []


def test_no_file_names_a_registry_or_a_machine() -> None:
    found: dict[Path, list[str]] = {}
    for path in tracked_files():
        try:
            lines = offences(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue  # an image
        if lines:
            found[path.relative_to(ROOT)] = lines
    assert found == {}
