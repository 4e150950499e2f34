"""requirements.lock holds all that pyproject.toml asks for, by hash, wherever a package index may be."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = [line.removesuffix("\\").strip() for line in LOCK.splitlines() if re.match(r"[a-z0-9]", line)]

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


def wanted() -> list[Requirement]:
    """List what pyproject.toml asks for: to run, to serve, to develop and to build."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = [*pyproject["project"]["dependencies"], *pyproject["build-system"]["requires"]]
    for extra in pyproject["project"]["optional-dependencies"].values():
        texts += extra
    return [Requirement(text) for text in texts]


def environment_of(machine: dict[str, str]) -> dict[str, str]:
    environment = {**default_environment(), **machine, "python_full_version": f"{machine['python_version']}.0"}
    return {key: str(value) for key, value in environment.items()}


def pins_on(machine: dict[str, str]) -> dict[str, Requirement]:
    environment = environment_of(machine)
    pins = [Requirement(pin) for pin in PINS]
    return {canonicalize_name(pin.name): pin for pin in pins if pin.marker is None or pin.marker.evaluate(environment)}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: "-".join(machine.values()))
def test_all_that_is_asked_for_is_pinned_within_its_range(machine: dict[str, str]) -> None:
    pins = pins_on(machine)
    environment = environment_of(machine)
    for requirement in wanted():
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        pin = pins[canonicalize_name(requirement.name)]
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert requirement.specifier.contains(exact.version), f"make lock: {requirement} against {pin}"


def test_every_pin_has_a_hash() -> None:
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(PINS)
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


def test_no_index_is_named() -> None:
    options = [line for line in LOCK.splitlines() if re.match(r"\s*-(?!-hash=)", line)]
    assert options == []
    assert "://" not in LOCK
