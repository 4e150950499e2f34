"""`mesh` says what is missing in a sentence, not in a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mesh_cli import entry


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(entry, "NEEDED", ("typer", "no_such_one", "nor_this"))
    with pytest.raises(SystemExit, match="1"):
        entry.main()
    assert capsys.readouterr().err == (
        "mesh: this command needs no_such_one, nor_this; install them: pip install 'daena-mesh[server]'\n"
    )


def test_with_everything_there_it_runs() -> None:
    program = "import sys; sys.argv = ['mesh', '--version']; from mesh_cli.entry import main; main()"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("mesh 0.")
