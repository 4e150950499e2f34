"""What the console brings along of others is what the pinned packages give, byte for byte, with their licences."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.npm_tools import TOOLS, check, packages
from tests.support.real_parties import node_path
from tests.support.tracked import ROOT

VENDORED = ROOT / "console" / "vendor"
FILES = sorted(path.stem for path in VENDORED.glob("*.js"))

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("name", FILES)
def test_it_is_what_the_pinned_packages_give(name: str) -> None:
    packages()
    made = check(node_path(), "vendor.mjs", name, cwd=TOOLS)
    assert made == (VENDORED / f"{name}.js").read_text(), "make vendor"


@pytest.mark.parametrize("name", FILES)
def test_it_says_whose_it_is(name: str) -> None:
    head, _, code = (VENDORED / f"{name}.js").read_text().partition("*/")
    pinned = json.loads((TOOLS / "package-lock.json").read_text())["packages"]
    packages = re.findall(r"^(@?[a-z/-]+) (\d+\.\d+\.\d+) \((MIT|Apache-2\.0|ISC)\)$", head, re.MULTILINE)
    assert packages
    for package, version, licence in packages:
        assert pinned[f"node_modules/{package}"]["version"] == version
        assert pinned[f"node_modules/{package}"]["license"] == licence
    assert head.count("Copyright") >= len(packages)
    assert not re.search(r"\beval\(|\bFunction\(", code)


def test_the_console_itself_never_reads_texts_as_markup() -> None:
    ways = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|\bFunction\(|srcdoc")
    files = [path for path in (ROOT / "console").rglob("*.js") if path.parent != VENDORED]
    assert len(files) > len(FILES)
    assert [path.name for path in files if ways.search(path.read_text())] == []
