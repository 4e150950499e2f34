"""The JavaScript's own tests, run by Node, so that one `pytest` covers both languages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(120)
def test_javascript() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("install Node.js 20 or later to run the JavaScript tests")
    suites = sorted(str(path) for path in (ROOT / "tests" / "js").glob("*.test.mjs"))
    assert suites
    run = subprocess.run(
        [node, "--test", "--test-reporter=spec", *suites],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert run.returncode == 0, run.stdout + run.stderr
