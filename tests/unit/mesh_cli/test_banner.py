"""The banner says who is let in."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mesh_cli.banner import banner
from mesh_cli.up import Running

RUNNING = Running(url="http://127.0.0.1:8000", nats_url="nats://127.0.0.1:4222", edge_urls=[], data_dir=None)


@pytest.mark.parametrize(
    ("variables", "is_secure", "said"),
    [
        ({}, False, "on this machine only, without authentication."),
        ({}, True, "on this machine only, and its NATS to credentials alone."),
        ({"MESH_TOKEN_KEY": "x"}, False, "to who has a token, its NATS without authentication."),
        ({"MESH_TOKEN_KEY_FILE": "/keys"}, True, "to who has a token, and its NATS to credentials alone."),
    ],
)
def test_it_says_who_is_let_in(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str, *, is_secure: bool
) -> None:
    for name in ("MESH_TOKEN_KEY", "MESH_TOKEN_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    first = banner(dataclasses.replace(RUNNING, is_secure=is_secure))
    assert said in first.plain.splitlines()[0]


def test_what_it_tells_to_type_can_be_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", [".venv/bin/mesh", "up"])
    assert "  .venv/bin/mesh tail" in banner(RUNNING).plain.splitlines()
    assert "  .venv/bin/mesh creds ops me" in banner(dataclasses.replace(RUNNING, is_secure=True)).plain
    (tmp_path / "mesh").touch(mode=0o700)
    assert "  mesh tail" in banner(RUNNING).plain.splitlines()
