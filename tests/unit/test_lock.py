"""The locks hold all that pyproject.toml asks for, by hash, wherever a package index may be."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = {"langgraph", "openai-agents", "mcp"}
"""The extras that are tested in an environment of their own."""

LOCKS = {
    "all but adapters": (ROOT / "requirements.lock").read_text(),
    "adapters": (ROOT / "tests" / "adapters" / "requirements.lock").read_text(),
}
every_lock = pytest.mark.parametrize("name", LOCKS)

MACHINES = [
    {"sys_platform": platform, "platform_machine": machine, "python_version": python}
    for platform, machine in [
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "arm64"),
        ("darwin", "x86_64"),
    ]
    for python in ["3.11", "3.12", "3.13", "3.14"]
]


def wanted(name: str) -> list[Requirement]:
    """List what pyproject.toml asks for: to run, to serve, to develop and to build; or to run and test adapters."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = [*pyproject["project"]["dependencies"]]
    if name == "adapters":
        texts += pyproject["dependency-groups"]["adapters"]
    else:
        texts += pyproject["build-system"]["requires"]
    for extra, more in pyproject["project"]["optional-dependencies"].items():
        if (extra in ADAPTERS) == (name == "adapters"):
            texts += more
    return [Requirement(text) for text in texts]


def pins_in(lock: str) -> list[str]:
    return [line.removesuffix("\\").strip() for line in lock.splitlines() if re.match(r"[a-z0-9]", line)]


def environment_of(machine: dict[str, str]) -> dict[str, str]:
    environment = {**default_environment(), **machine, "python_full_version": f"{machine['python_version']}.0"}
    return {key: str(value) for key, value in environment.items()}


def pins_on(machine: dict[str, str], lock: str) -> dict[str, Requirement]:
    environment = environment_of(machine)
    pins = [Requirement(pin) for pin in pins_in(lock)]
    return {canonicalize_name(pin.name): pin for pin in pins if pin.marker is None or pin.marker.evaluate(environment)}


@every_lock
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: "-".join(machine.values()))
def test_all_that_is_asked_for_is_pinned_within_its_range(machine: dict[str, str], name: str) -> None:
    pins = pins_on(machine, LOCKS[name])
    environment = environment_of(machine)
    for requirement in wanted(name):
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        pin = pins[canonicalize_name(requirement.name)]
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert requirement.specifier.contains(exact.version), f"make lock: {requirement} against {pin}"


@every_lock
def test_every_pin_has_a_hash(name: str) -> None:
    entries = re.split(r"^(?=[a-z0-9])", LOCKS[name], flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins_in(LOCKS[name]))
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


@every_lock
def test_no_index_is_named(name: str) -> None:
    options = [line for line in LOCKS[name].splitlines() if re.match(r"\s*-(?!-hash=)", line)]
    assert options == []
    assert "://" not in LOCKS[name]
