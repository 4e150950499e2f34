"""What people and machines type: the Makefile's targets, `.ci/run`, `scripts/timed`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.real_parties import skip

ROOT = Path(__file__).resolve().parents[2]

MAKE = """#!/bin/sh
echo "make $* MESH_REQUIRE_REAL_PARTIES=$MESH_REQUIRE_REAL_PARTIES"
echo "7 passed in 1.00s"
test -z "$FAILS" && exit 0
echo "make: *** [Makefile:20: test] Error 1" >&2
exit 2
"""


def run(*command: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=20)


def test_make_alone_explains_every_target() -> None:
    make = shutil.which("make")
    assert make is not None
    explained = re.findall(r"^make (\w+)", run(make, "--no-print-directory").stdout, re.MULTILINE)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(explained) == sorted(phony.split())


@pytest.mark.parametrize(("fails", "code"), [("", 0), ("yes", 2)])
def test_ci_ends_with_pytests_closing_line_and_its_verdict(tmp_path: Path, fails: str, code: int) -> None:
    if shutil.which("bash") is None:
        skip("install bash to run this test")
    project, programs = tmp_path / "project", tmp_path / "programs"
    (project / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", project / ".ci")
    programs.mkdir()
    for name in ["chromium", "nats", "nginx", "node", "make"]:
        (programs / name).write_text(MAKE if name == "make" else "#!/bin/sh\n")
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    ci = run(str(project / ".ci" / "run"), PATH=path, FAILS=fails, cwd=tmp_path)
    assert ci.returncode == code
    assert ci.stdout.splitlines()[-2:] == [
        "make --no-print-directory test MESH_REQUIRE_REAL_PARTIES=1",
        "7 passed in 1.00s",
    ]
    assert ci.stderr == ""


def test_a_step_that_went_well_says_only_how_long_it_took() -> None:
    step = run("scripts/timed", "counting", "sh", "-c", "echo one; echo two >&2")
    assert (step.returncode, step.stderr) == (0, "")
    assert re.fullmatch(r"counting: ok, \d+ s\n", step.stdout)


def test_a_step_that_failed_says_what_it_said_and_keeps_its_verdict() -> None:
    step = run("scripts/timed", "counting", "sh", "-c", "echo one; echo two >&2; exit 3")
    assert step.returncode == 3
    assert re.fullmatch(r"one\ntwo\ncounting: failed, \d+ s\n", step.stdout)
