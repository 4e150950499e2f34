"""Which tests share a process: all of a file, and all that makes networks or browsers."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from tests.support.together import group_of, turn_of
from tests.support.tracked import ROOT

pytest_plugins = ["pytester"]

CONFTEST = """
from tests.support.together import Together

def pytest_xdist_make_scheduler(config, log):
    return Together(config, log)
"""
FILE = """
import os
import pytest

@pytest.mark.parametrize("number", range(6))
def test_it(number):
    with open(f"{__file__}.told", "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + " ")
"""


def test_files_stand_alone_but_for_those_that_disturb_each_other() -> None:
    assert group_of(PurePath("unit/test_js.py")) == "unit/test_js.py"
    assert group_of(PurePath("browser/test_page.py")) == group_of(PurePath("deploy/test_proxies.py"))


def test_what_lasts_begins_first_and_what_is_short_comes_last() -> None:
    paths = ["browser/test_page.py", "soak/test_soak.py", "integration/test_sdk.py", "unit/test_js.py"]
    assert sorted(map(PurePath, reversed(paths)), key=turn_of) == list(map(PurePath, paths))


@pytest.mark.timeout(120)
def test_each_file_runs_in_one_process(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = pytester.mkdir("tests")
    (folder / "conftest.py").write_text(CONFTEST)
    for name in "abcd":
        (folder / f"test_{name}.py").write_text(FILE)
    pytester.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider").assert_outcomes(passed=24)
    told = [path.read_text().split() for path in Path(folder).glob("*.told")]
    assert [(len(workers), len(set(workers))) for workers in told] == [(6, 1)] * 4
