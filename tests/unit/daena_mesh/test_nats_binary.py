from __future__ import annotations

import base64
import hashlib
import platform
import sys
from importlib import metadata
from pathlib import Path

import pytest

from daena_mesh.errors import NatsServerError
from daena_mesh.nats_binary import OLDEST_SUPPORTED, PACKAGE, find_binary, version_of
from mesh_cli.doctor.packages import PINNED


@pytest.fixture
def only_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the one folder of the PATH, on a machine without the package."""

    def missing(_name: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "files", missing)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, answer: str) -> Path:
    path = folder / "nats-server"
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


def test_what_is_found_is_new_enough() -> None:
    assert version_of(find_binary()) >= OLDEST_SUPPORTED


def test_it_is_the_program_that_was_pinned() -> None:
    found = hashlib.sha256(find_binary().read_bytes())
    (said,) = [file.hash for file in metadata.files(PACKAGE) or () if file.name == "nats-server"]
    assert said is not None
    assert (said.mode, said.value) == ("sha256", base64.urlsafe_b64encode(found.digest()).decode().rstrip("="))
    assert found.hexdigest() == PINNED.get((sys.platform, platform.machine()), found.hexdigest())


def test_nothing_found_says_what_to_do(only_the_path: Path) -> None:
    with pytest.raises(NatsServerError, match=r"was not found: install nats-server 2\.14\.3 .*MESH_NATS_URL"):
        find_binary()


def test_the_path_serves_where_there_is_no_package(only_the_path: Path) -> None:
    path = program(only_the_path, "nats-server: v2.14.3")
    assert find_binary() == path


def test_an_old_one_is_refused(only_the_path: Path) -> None:
    program(only_the_path, "nats-server: v2.9.25")
    with pytest.raises(NatsServerError, match=r"version 2\.9\.25, which is too old: install"):
        find_binary()


def test_something_else_of_that_name_is_refused(only_the_path: Path) -> None:
    program(only_the_path, "hello")
    with pytest.raises(NatsServerError, match="does not answer --version like a nats-server"):
        find_binary()


def test_what_cannot_be_run_is_refused(only_the_path: Path) -> None:
    path = only_the_path / "nats-server"
    path.write_text("\x7fELF")
    path.chmod(0o755)
    with pytest.raises(NatsServerError, match="cannot be run"):
        find_binary()


def test_a_package_without_its_file_counts_as_none(only_the_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "files", lambda _name: [])
    with pytest.raises(NatsServerError, match="was not found"):
        find_binary()
