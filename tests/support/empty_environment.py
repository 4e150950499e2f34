"""Python environments outside the repository, for what is built here to be installed in."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.real_parties import skip
from tests.support.tracked import ROOT

_OFFLINE = re.compile("NewConnectionError|name resolution|Network is unreachable|dns error|ConnectTimeout")


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment of its own, with nothing of ours on its path."""

    root: Path

    @property
    def programs(self) -> Path:
        """Where its commands lie."""
        return self.root / "bin"

    @property
    def variables(self) -> dict[str, str]:
        """What its processes are started with: no settings of ours, a home that is empty."""
        kept = {name: value for name, value in os.environ.items() if not re.match("MESH_|PYTHON|XDG_", name)}
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        path = f"{self.programs}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, "HOME": str(home), "PATH": path}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of its commands from a folder outside the repository, and give what it said."""
        return subprocess.run(
            [str(self.programs / command[0]), *command[1:]],
            cwd=self.root,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def constraints(lock: str) -> str:
    """Give the pins of a lock without their hashes, which a wheel just built cannot have."""
    pins = [line.removesuffix("\\").strip() for line in lock.splitlines() if re.match(r"[a-z0-9]", line)]
    return "\n".join(pins) + "\n"


def install(requirement: str, root: Path) -> Environment:
    """Make an empty environment and install ``requirement`` in it, at the versions of requirements.lock.

    Skips the test when there is no way to a package index.

    Raises:
        AssertionError: it cannot be installed.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True, timeout=60)
    pins = root / "constraints.txt"
    pins.write_text(constraints((ROOT / "requirements.lock").read_text()))
    run = subprocess.run(
        [*_installer(root / "bin" / "python"), "--quiet", "--constraint", str(pins), requirement],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    if run.returncode and _OFFLINE.search(run.stderr):
        skip("connect to a package index to run this test")
    assert run.returncode == 0, run.stderr
    return Environment(root)


def pinned(lock: Path, root: Path) -> Environment:
    """Give the environment in ``root`` that holds what ``lock`` pins; it is made when it is not there, or another one.

    Skips the test when there is no way to a package index.

    Raises:
        AssertionError: it cannot be installed.
    """
    stamp, wanted = root / "pinned", f"{sys.version} {root} {hashlib.sha256(lock.read_bytes()).hexdigest()}"
    if stamp.exists() and stamp.read_text() == wanted:
        return Environment(root)
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True, timeout=60)
    python = root / "bin" / "python"
    run = subprocess.run(
        [*(_uv(python) or _installer(python)), "--quiet", "--require-hashes", "-r", str(lock)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    if run.returncode and _OFFLINE.search(run.stderr):
        skip("connect to a package index to run this test")
    assert run.returncode == 0, run.stderr
    stamp.write_text(wanted)
    return Environment(root)


def _uv(python: Path) -> list[str] | None:
    uv = shutil.which("uv")
    return None if uv is None else [uv, "pip", "install", "--python", str(python)]


def _installer(python: Path) -> list[str]:
    """Give pip or uv, whichever made the environment that the tests run in."""
    with_pip = subprocess.run([sys.executable, "-c", "import pip"], capture_output=True, check=False)
    if with_pip.returncode and (uv := _uv(python)):
        return uv
    return [sys.executable, "-m", "pip", "--python", str(python), "install", "--disable-pip-version-check"]
