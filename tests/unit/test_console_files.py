"""The modules of the page: sound types, no circles, and what is needed at first is asked for at once."""

from __future__ import annotations

import posixpath
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.npm_tools import run
from tests.support.tracked import ROOT

PAGE = (ROOT / "console" / "index.html").read_text()
IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?["'](\.[^"']+)["'];?$""", re.MULTILINE)
LATER = re.compile(r"""\bimport\(["'](\.[^"']+)["']\)""")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
"""Where types are imported, too."""
FIRST = ("console/app.js", "console/rooms/chat.js")


def needed(first: tuple[str, ...]) -> set[str]:
    """Addresses of all that these modules import, and of themselves."""
    found: set[str] = set()
    waiting = list(first)
    while waiting:
        address = waiting.pop()
        if address in found:
            continue
        found.add(address)
        waiting += imported(address, IMPORT)
    return found


def imported(address: str, *ways: re.Pattern[str]) -> list[str]:
    """Addresses of what a module imports itself."""
    text = COMMENT.sub("", path_of(address).read_text())
    names = [name for way in ways for name in way.findall(text)]
    return [posixpath.normpath(f"{posixpath.dirname(address)}/{name}") for name in names]


def path_of(address: str) -> Path:
    """Where the module is that is served there."""
    return ROOT / re.sub("^sdk/", "sdk/js/", address)


def modules() -> list[str]:
    """Addresses of all modules of the page and of the client."""
    paths = [path.relative_to(ROOT) for folder in ("console", "sdk/js") for path in (ROOT / folder).rglob("*.js")]
    return [re.sub("^sdk/js/", "sdk/", path.as_posix()) for path in paths]


def test_the_page_preloads_what_it_needs_at_first_and_nothing_else() -> None:
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)" />', PAGE)
    assert sorted(preloaded) == sorted(needed(FIRST) - {"console/app.js"})


def test_no_module_needs_itself() -> None:
    TopologicalSorter({address: imported(address, IMPORT, LATER) for address in modules()}).prepare()


@pytest.mark.timeout(120)
def test_its_types_are_sound() -> None:
    run("tsc", "-p", "tests/sdk/tsconfig.console.json")


def test_the_page_has_nothing_inline() -> None:
    assert not re.search(r"<style|\bstyle=|\bon[a-z]+=|<script(?![^>]*\bsrc=)", PAGE)
