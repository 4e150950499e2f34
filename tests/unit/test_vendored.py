"""What the console brings along of others is what the pinned packages give, byte for byte, with their licences."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.support.real_parties import node_path, skip
from tests.support.tracked import ROOT

TOOLS = ROOT / "tests" / "sdk"
VENDORED = ROOT / "console" / "vendor"
FILES = sorted(path.stem for path in VENDORED.glob("*.js"))
MOST_SECONDS = 100

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("name", FILES)
def test_it_is_what_the_pinned_packages_give(name: str) -> None:
    node = str(node_path())
    if not (TOOLS / "node_modules" / "esbuild").exists():
        skip("run npm ci --prefix tests/sdk to run this test")
    made = subprocess.run([node, "vendor.mjs", name], cwd=TOOLS, capture_output=True, check=False, timeout=MOST_SECONDS)
    assert made.returncode == 0, made.stderr.decode()
    assert made.stdout == (VENDORED / f"{name}.js").read_bytes(), "make vendor"


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
