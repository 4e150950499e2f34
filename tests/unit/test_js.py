"""The JavaScript's own tests, run by Node, so that one `pytest` covers both languages; and what both must agree on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mesh_edge.closing import CLOSINGS, Reconnect
from tests.support.real_parties import node_path

ROOT = Path(__file__).resolve().parents[2]
IN_JAVASCRIPT = {
    Reconnect.NO: "fail",
    Reconnect.AS_TOLD: "told",
    Reconnect.AFTER_TOKEN: "token",
    Reconnect.LATER: "later",
}


def node(*arguments: str) -> str:
    run = subprocess.run(
        [str(node_path()), *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.timeout(120)
def test_javascript() -> None:
    suites = sorted(str(path) for path in (ROOT / "tests" / "js").glob("*.test.mjs"))
    assert suites
    node("--test", "--test-reporter=spec", *suites)


def test_the_client_knows_every_way_to_close() -> None:
    script = "import { CLOSE_CODES } from './sdk/js/mesh.js'; console.log(JSON.stringify(CLOSE_CODES))"
    known = json.loads(node("--input-type=module", "--eval", script))
    assert known == {
        str(closing.code): IN_JAVASCRIPT[closing.reconnect]
        for closing in CLOSINGS
        if closing.reconnect is not Reconnect.YES
    }
