"""The console's files: their types are sound, and what the page needs at first is asked for at once."""

from __future__ import annotations

import posixpath
import re

import pytest

from tests.support.npm_tools import run
from tests.support.tracked import ROOT

PAGE = (ROOT / "console" / "index.html").read_text()
IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?["'](\.[^"']+)["'];?$""", re.MULTILINE)
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
        path = ROOT / address.replace("sdk/", "sdk/js/", 1) if address.startswith("sdk/") else ROOT / address
        folder = posixpath.dirname(address)
        waiting += [posixpath.normpath(f"{folder}/{name}") for name in IMPORT.findall(path.read_text())]
    return found


def test_the_page_preloads_what_it_needs_at_first_and_nothing_else() -> None:
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)" />', PAGE)
    assert sorted(preloaded) == sorted(needed(FIRST) - {"console/app.js"})


@pytest.mark.timeout(120)
def test_its_types_are_sound() -> None:
    run("tsc", "-p", "tests/sdk/tsconfig.console.json")


def test_the_page_has_nothing_inline() -> None:
    assert not re.search(r"<style|\bstyle=|\bon[a-z]+=|<script(?![^>]*\bsrc=)", PAGE)
