from __future__ import annotations

from pathlib import Path

import pytest

from mesh_cli import configuration


def test_the_document_is_what_the_settings_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert configuration.main(["--check"]) == 0, capsys.readouterr().err


def test_a_document_that_differs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(configuration, "DOCUMENT", tmp_path / "configuration.md")
    assert configuration.main(["--check"]) == 1
    assert "run `make docs`" in capsys.readouterr().err


def test_every_setting_is_described_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert configuration.main([]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `MESH_")]
    names = [row.split("|")[1].strip() for row in rows]
    assert len(set(names)) == len(names)
    assert {"`MESH_NATS_URL`", "`MESH_ORIGINS`"} <= set(names)
    assert [row for row in rows if not row.split("|")[-2].strip()] == []
