from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daena_mesh import local
from daena_mesh.embedded import NatsServer


@pytest.fixture(autouse=True)
def runtime_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path / "runtime" / "daena-mesh"


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_nothing_runs() -> None:
    assert local.running_mesh() is None
    local.forget_running()


async def test_a_running_mesh_is_found_until_it_is_forgotten(nats_server: NatsServer) -> None:
    local.note_running(nats_server.url)
    assert local.running_mesh() == nats_server.url
    local.forget_running()
    assert local.running_mesh() is None


async def test_a_note_of_a_dead_process_is_removed(nats_server: NatsServer, runtime_dir: Path) -> None:
    local.note_running(nats_server.url, dead_process())
    assert local.running_mesh() is None
    assert list(runtime_dir.iterdir()) == []


async def test_the_mesh_started_last_counts(nats_server: NatsServer, runtime_dir: Path) -> None:
    local.note_running("nats://127.0.0.1:1", os.getppid())
    os.utime(runtime_dir / f"{os.getppid()}.json", (1, 1))
    local.note_running(nats_server.url)
    assert local.running_mesh() == nats_server.url


async def test_a_server_that_does_not_answer_is_passed_over(nats_server: NatsServer, runtime_dir: Path) -> None:
    local.note_running(nats_server.url, os.getppid())
    os.utime(runtime_dir / f"{os.getppid()}.json", (1, 1))
    local.note_running("nats://127.0.0.1:1")
    assert local.running_mesh() == nats_server.url


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"url": "nats://x"}', '{"url": "x", "pid": "y"}'])
def test_a_broken_note_is_removed(runtime_dir: Path, text: str) -> None:
    runtime_dir.mkdir(parents=True)
    (runtime_dir / "1.json").write_text(text)
    assert local.running_mesh() is None
    assert not (runtime_dir / "1.json").exists()


async def test_a_directory_that_others_may_write_is_not_believed(nats_server: NatsServer, runtime_dir: Path) -> None:
    local.note_running(nats_server.url)
    runtime_dir.chmod(0o777)
    assert local.running_mesh() is None


def test_without_a_runtime_directory_the_temporary_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert local._directory().name == f"daena-mesh-{os.getuid()}"
