"""Tests that wait for ever: each is told where, and the ones behind it are run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CONFTEST = """
from tests.support.bounded import bound


def pytest_collection_modifyitems(items):
    for item in items:
        bound(item)
"""

TESTS = """
import asyncio

import pytest


@pytest.mark.timeout(5)
async def test_for_ever():
    await asyncio.Event().wait()  # for nobody


@pytest.mark.timeout(5)
@pytest.mark.parametrize("answer", [42])
async def test_soon(answer):
    await asyncio.sleep(0)
    assert answer == 42
"""


def test_who_waits_for_ever_is_told_where_and_the_next_ones_are_run(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(tmp_path / "pytest.ini"), tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "1 failed, 1 passed" in ended.stdout
    assert "await asyncio.Event().wait()  # for nobody" in ended.stdout
    assert "TimeoutError" in ended.stdout
    assert "+++ Timeout" not in ended.stdout  # pytest-timeout's own way, which ends everything
