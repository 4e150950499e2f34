"""The JavaScript client as a package: its types, its size, and what is in it."""

from __future__ import annotations

import filecmp
import gzip
import json
import tomllib
from pathlib import Path

import pytest

from tests.support.js_event_types import written
from tests.support.npm_tools import run
from tests.support.tracked import ROOT

SDK = ROOT / "sdk" / "js"
MOST_BYTES = 6_000

pytestmark = pytest.mark.timeout(120)


@pytest.mark.promise("P-CLIENT-1")
def test_types_are_sound_and_the_declarations_are_theirs(tmp_path: Path) -> None:
    run("tsc", "-p", "tests/sdk", "--outDir", str(tmp_path))
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.d.ts"))
    assert written == sorted(path.relative_to(SDK / "types").as_posix() for path in (SDK / "types").rglob("*.d.ts"))
    _, different, missing = filecmp.cmpfiles(tmp_path, SDK / "types", written, shallow=False)
    assert (different, missing) == ([], []), "make types"


def test_the_types_of_events_are_those_of_python() -> None:
    assert (SDK / "event_types.js").read_text() == written(), "make types"


@pytest.mark.promise("P-CLIENT-1")
def test_the_core_is_small() -> None:
    options = ("--bundle", "--minify", "--format=esm", "--target=es2022", "--external:./sse.js", "--log-level=error")
    core = run("esbuild", "sdk/js/mesh.js", *options)
    assert "WebSocket" in core
    assert len(gzip.compress(core.encode(), 9)) <= MOST_BYTES


def test_the_package_says_what_is_there() -> None:
    package = json.loads((SDK / "package.json").read_text())
    assert package["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {key: package[key] for key in package if "dependencies" in key.lower()} == {
        "peerDependencies": {"react": ">=18"},
        "peerDependenciesMeta": {"react": {"optional": True}},
    }
    for entry in package["exports"].values():
        for path in entry.values():
            assert (SDK / path).is_file(), path
