"""What ``npm ci --prefix tests/sdk`` brings: esbuild, tsc, and the packages that tests make pages and projects with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.real_parties import node_path, skip
from tests.support.tracked import ROOT

TOOLS = ROOT / "tests" / "sdk"
MOST_SECONDS = 100


def packages() -> Path:
    """Give the folder of the packages; skip where they, or Node, are not installed."""
    node_path()
    folder = TOOLS / "node_modules"
    if not folder.exists():
        skip("run npm ci --prefix tests/sdk to run this test")
    return folder


def run(tool: str, *arguments: str, cwd: Path = ROOT, **variables: str) -> str:
    """Run a tool of the packages, such as ``tsc``, and give what it says on standard output.

    Raises:
        AssertionError: it failed; the message has all that it said.
    """
    return check(packages() / ".bin" / tool, *arguments, cwd=cwd, **variables)


def check(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """Run any command for at most 100 s, with these ``variables`` of the environment; else like ``run``."""
    environment = {**os.environ, **variables}
    ran = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=MOST_SECONDS
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
