"""scripts/bootstrap on machines that are made up: a PATH with pretended Pythons and the plain tools alone."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ["awk", "cat", "cksum", "cp", "date", "dirname", "grep", "id", "ls", "mkdir", "rm", "sh", "sort", "touch"]

# Answers what bootstrap asks of a Python, and writes down what pip is told.
PYTHON = """#!/bin/sh
case "$*" in
"-c import sys; "*) echo {version} ;;
"-c import ensurepip, venv") exit {no_ensurepip} ;;
"-c import sysconfig"*) exit {glibc} ;;
"-c import pip") ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/pyvenv.cfg ;;
"-m pip install"*) echo "{version} $*" >>calls; test ! -e "$(dirname "$0")/../../offline" ;;
*) exit 1 ;;
esac
"""
# Both make an environment from the Python they are given, as the last argument but one.
UV = """#!/bin/sh
echo "uv $*" >>calls
while [ $# -gt 2 ]; do shift; done
case $1 in
/*) mkdir -p .venv/bin && cp "$1" .venv/bin/python && touch .venv/pyvenv.cfg ;;
*) mkdir -p .venv/bin && cp fetched .venv/bin/python && touch .venv/pyvenv.cfg ;;
esac
"""


@dataclass
class Machine:
    """A folder with bootstrap in it, and programs that stand on its PATH."""

    project: Path
    programs: Path

    def program(self, name: str, text: str) -> Path:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def python(self, version: str, *, name: str = "", ensurepip: bool = True, musl: bool = False) -> Path:
        text = PYTHON.format(version=version, no_ensurepip=int(not ensurepip), glibc=int(not musl))
        return self.program(name or f"python{version}", text)

    def bootstrap(self, *, tools: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(self.project / "scripts" / "bootstrap")],
            env={"PATH": f"{self.programs}:{tools}", "HOME": str(self.project)},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    @property
    def calls(self) -> list[str]:
        path = self.project / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    for name in TOOLS:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    project = tmp_path / "project"
    (project / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "bootstrap", project / "scripts")
    (project / "requirements.lock").write_text("a==1\n")
    (project / "pyproject.toml").write_text("[project]\n")
    programs = tmp_path / "programs"
    programs.mkdir()
    return Machine(project, programs)


def test_the_newest_python_that_runs_is_taken(machine: Machine, tools: Path) -> None:
    machine.program("python3.14", "#!/bin/sh\necho 'shim: no such version' >&2\nexit 127\n")
    machine.python("3.13")
    machine.python("3.11")
    run = machine.bootstrap(tools=tools)
    assert run.returncode == 0, run.stderr
    assert "created .venv with Python 3.13" in run.stdout
    assert machine.calls == [
        "3.13 -m pip install --quiet --require-hashes -r requirements.lock",
        "3.13 -m pip install --quiet --no-deps --no-build-isolation -e .",
    ]


def test_a_plain_python3_will_do(machine: Machine, tools: Path) -> None:
    machine.python("3.12", name="python3")
    assert "Python 3.12" in machine.bootstrap(tools=tools).stdout


def test_a_plain_python3_counts_by_its_version(machine: Machine, tools: Path) -> None:
    machine.python("3.13", name="python3")
    machine.python("3.11")
    assert "Python 3.13" in machine.bootstrap(tools=tools).stdout


@pytest.mark.parametrize("version", ["2.7", "3.10", "3.15"])
def test_other_pythons_are_not_taken(machine: Machine, tools: Path, version: str) -> None:
    machine.python(version, name="python3")
    run = machine.bootstrap(tools=tools)
    assert run.returncode == 1
    assert "found no Python 3.11 to 3.14" in run.stderr


def test_without_ensurepip_uv_makes_the_environment(machine: Machine, tools: Path) -> None:
    python = machine.python("3.12", ensurepip=False)
    machine.program("uv", UV)
    run = machine.bootstrap(tools=tools)
    assert run.returncode == 0, run.stderr
    assert "through uv" in run.stdout
    assert machine.calls[0] == f"uv venv --quiet --clear --python {python} .venv"


def test_without_ensurepip_virtualenv_makes_the_environment(machine: Machine, tools: Path) -> None:
    machine.python("3.12", ensurepip=False)
    machine.program("virtualenv", UV)
    run = machine.bootstrap(tools=tools)
    assert run.returncode == 0, run.stderr
    assert "through virtualenv" in run.stdout


def test_an_older_python_that_can_make_an_environment_is_better_than_none(machine: Machine, tools: Path) -> None:
    machine.python("3.13", ensurepip=False)
    machine.python("3.11")
    assert "created .venv with Python 3.11" in machine.bootstrap(tools=tools).stdout


def test_without_a_python_uv_fetches_one(machine: Machine, tools: Path) -> None:
    machine.python("3.13", name="fetched").rename(machine.project / "fetched")
    machine.program("uv", UV)
    run = machine.bootstrap(tools=tools)
    assert run.returncode == 0, run.stderr
    assert "uv fetches one" in run.stdout
    assert machine.calls[-1] == "3.13 -m pip install --quiet --no-deps --no-build-isolation -e ."


@pytest.mark.parametrize(
    ("installer", "advice"),
    [
        ("apt-get", "apt-get install -y python3.12-venv"),
        ("brew", "brew install uv"),
        ("dnf", "dnf install -y uv"),
        ("apk", "apk add uv"),
        ("", "python3.12 -m pip install --user virtualenv"),
    ],
)
def test_what_cannot_go_on_names_the_one_command_that_helps(
    machine: Machine, tools: Path, installer: str, advice: str
) -> None:
    machine.python("3.12", ensurepip=False)
    if installer:
        machine.program(installer, "#!/bin/sh\nexit 1\n")
    run = machine.bootstrap(tools=tools)
    assert run.returncode == 1
    assert run.stderr.rstrip().endswith(advice)
    assert len(run.stderr.splitlines()) == 1
    assert not (machine.project / ".venv").exists()


def test_what_has_nothing_for_a_machine_is_left_out(machine: Machine, tools: Path) -> None:
    lock = "a==1 \\\n    --hash=sha256:0\natheris==1 \\\n    --hash=sha256:2\n"
    lock += "playwright==1 \\\n    --hash=sha256:1\n    # via b\nz==1\n"
    (machine.project / "requirements.lock").write_text(lock)
    machine.python("3.13", musl=True)
    run = machine.bootstrap(tools=tools)
    assert run.returncode == 0, run.stderr
    assert machine.calls[0] == "3.13 -m pip install --quiet --require-hashes -r .venv/requirements.lock"
    installed = machine.project / ".venv" / "requirements.lock"
    assert installed.read_text() == "a==1 \\\n    --hash=sha256:0\nz==1\n"


def test_a_second_run_does_nothing(machine: Machine, tools: Path) -> None:
    machine.python("3.13")
    machine.bootstrap(tools=tools)
    before = machine.calls
    run = machine.bootstrap(tools=tools)
    assert run.stdout == "bootstrap: .venv is up to date\n"
    assert machine.calls == before


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_change_installs_into_the_same_environment(machine: Machine, tools: Path, changed: str) -> None:
    machine.python("3.13")
    machine.bootstrap(tools=tools)
    with (machine.project / changed).open("a") as file:
        file.write("# changed\n")
    run = machine.bootstrap(tools=tools)
    assert "created" not in run.stdout
    assert len(machine.calls) == 4


def test_a_moved_folder_gets_a_new_environment(machine: Machine, tools: Path) -> None:
    machine.python("3.13")
    machine.bootstrap(tools=tools)
    moved = Machine(machine.project.with_name("moved"), machine.programs)
    machine.project.rename(moved.project)
    run = moved.bootstrap(tools=tools)
    assert "removing" in run.stdout
    assert "created" in run.stdout


def test_an_environment_whose_python_is_gone_is_made_anew(machine: Machine, tools: Path) -> None:
    machine.python("3.13")
    machine.bootstrap(tools=tools)
    (machine.project / ".venv" / "bin" / "python").unlink()
    assert "created" in machine.bootstrap(tools=tools).stdout


def test_a_failed_download_is_taken_up_again(machine: Machine, tools: Path) -> None:
    machine.python("3.13")
    offline = machine.project / "offline"
    offline.touch()
    run = machine.bootstrap(tools=tools)
    assert run.returncode == 1
    assert "could not be installed" in run.stderr
    offline.unlink()
    run = machine.bootstrap(tools=tools)
    assert run.returncode == 0
    assert "created" not in run.stdout
    assert "done in" in run.stdout


def test_a_folder_that_is_no_environment_is_left_alone(machine: Machine, tools: Path) -> None:
    machine.python("3.13")
    mine = machine.project / ".venv" / "mine"
    mine.parent.mkdir()
    mine.touch()
    run = machine.bootstrap(tools=tools)
    assert run.returncode == 1
    assert ".venv is no virtual environment" in run.stderr
    assert mine.exists()
