"""The wheel, installed in an empty environment outside the repository, is all that a user needs."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.request import urlopen

import pytest

from tests.support.empty_environment import Environment, constraints, install
from tests.support.real_parties import c_compiler_path
from tests.support.tracked import ROOT

pytestmark = pytest.mark.timeout(300)

PACKAGES = ["daena_mesh", "mesh_api", "mesh_brain", "mesh_cli", "mesh_edge"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def served(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the wheel as who runs the mesh does."""
    return install(f"daena-mesh[server] @ {wheel.as_uri()}", tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def agent(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the wheel as the author of an agent does."""
    return install(f"daena-mesh @ {wheel.as_uri()}", tmp_path_factory.mktemp("agent"))


def test_constraints_are_pins_without_hashes() -> None:
    lock = "# how\na==1 \\\n    --hash=sha256:00\nb==2 ; sys_platform == 'linux' \\\n    --hash=sha256:11\n"
    assert constraints(lock) == "a==1\nb==2 ; sys_platform == 'linux'\n"


def test_the_wheel_holds_the_packages_and_the_page_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    for folder, packaged in [("console", "mesh_api/_console"), ("sdk/js", "mesh_api/_sdk")]:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".html", ".js", ".css", ".svg"}:
                assert f"{packaged}/{path.relative_to(ROOT / folder).as_posix()}" in names
    for program in ("limit.c", "load.c", "naive.py"):
        assert f"mesh_cli/bench/_programs/{program}" in names
    roots = {name.partition("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == set(PACKAGES)
    ours = [name for name in names if not name.startswith("daena_mesh/testing/")]
    assert [name for name in ours if "test" in name or "__pycache__" in name or "node_modules" in name] == []
    assert "daena_mesh/testing/plugin.py" in names


@pytest.mark.promise("P-UP-1")
def test_mesh_up_serves_the_page_from_the_wheel(served: Environment) -> None:
    where = served.run("python", "-c", "import mesh_api; print(mesh_api.__file__)").stdout
    assert where.startswith(str(served.root))
    with mesh_up(served) as (url, process):
        for path, source in [("/", "console/index.html"), ("/sdk/mesh.js", "sdk/js/mesh.js")]:
            with urlopen(url + path, timeout=10) as response:
                assert response.read() == (ROOT / source).read_bytes()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_a_brain_without_its_extra_says_what_to_install(served: Environment) -> None:
    run = served.run("mesh", "brain", "--base-url", "http://127.0.0.1:1/v1")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "mesh: this command needs openai; install it: pip install 'daena-mesh[server,brain]'\n"


@pytest.mark.skipif(sys.platform != "linux", reason="benches run on Linux")
def test_benches_run_from_the_wheel(served: Environment) -> None:
    c_compiler_path()
    run = served.run("mesh", "bench", "fanout", "--scale", "0.01")
    assert run.returncode == 0, run.stderr
    for contender in ("ours", "limit", "naive", "nats-server"):
        assert contender in run.stdout


def test_an_agent_gets_no_web_framework(agent: Environment) -> None:
    script = (
        "import sys, daena_mesh, daena_mesh.sync\n"
        "from daena_mesh import Mesh, emit_chat_message\n"
        "from importlib.metadata import distributions\n"
        "print(sorted({d.name for d in distributions()}))\n"
    )
    run = agent.run("python", "-W", "error", "-c", script)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "['daena-mesh', 'msgspec', 'nats-py']"


def test_the_command_of_an_agent_says_what_it_lacks(agent: Environment) -> None:
    run = agent.run("mesh", "up")
    assert run.returncode == 1
    assert "pip install 'daena-mesh[server]'" in run.stderr
    assert len(run.stderr.splitlines()) == 1


@contextlib.contextmanager
def mesh_up(environment: Environment) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `mesh up` on free ports; give the address that it prints once it answers."""
    command = [str(environment.programs / "mesh"), "up", "--port", "0", "--nats-port", "0"]
    with (environment.root / "log").open("w+") as log:
        process = subprocess.Popen(
            command,
            cwd=environment.root,
            env=environment.variables,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            url = next(addresses(process.stdout), None)
            log.seek(0)
            assert url is not None, log.read()
            yield url, process
        finally:
            if process.poll() is None:
                process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()
            process.communicate()


def addresses(output: IO[str]) -> Iterator[str]:
    """Give the page's address from each line that names it."""
    for line in output:
        words = line.split()
        if words[:1] == ["page"]:
            yield words[1].rstrip("/")
