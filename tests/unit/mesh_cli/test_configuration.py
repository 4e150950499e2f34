"""docs/configuration.md is what the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_cli import configuration


def test_the_document_is_what_make_docs_would_write() -> None:
    assert configuration.DOCUMENT.read_text(encoding="utf-8") == configuration.document(), "make docs"


def test_each_variable_is_described_once() -> None:
    rows = [line.split("|")[1].strip() for line in configuration.document().splitlines() if line.startswith("| `")]
    assert "`MESH_NATS_URL`" in rows
    assert len(rows) == len(set(rows))


def test_it_prints_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert configuration.main([]) == 0
    assert capsys.readouterr().out == configuration.document()


@pytest.mark.parametrize("text", [None, "# Configuration\n"])
def test_another_document_is_refused_with_the_command_that_helps(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "configuration.md"
    if text is not None:
        document.write_text(text)
    monkeypatch.setattr(configuration, "DOCUMENT", document)
    assert configuration.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    document.write_text(configuration.document(), encoding="utf-8")
    assert configuration.main(["--check"]) == 0
