from __future__ import annotations

from pathlib import Path

import pytest

from mesh_cli.bench import compiler
from mesh_cli.bench.compiler import compile_program, find_compiler, source
from mesh_cli.bench.machine import CannotBench


def test_the_programs_are_found() -> None:
    for name in ("limit.c", "load.c", "naive.py"):
        assert source(name).is_file()
    with pytest.raises(CannotBench, match=r"nothing\.c is missing from this installation"):
        source("nothing.c")


def test_a_missing_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(CannotBench, match=r"^mesh bench needs a C compiler .*: install gcc or clang$"):
        find_compiler()
    monkeypatch.setenv("CC", "icc")
    with pytest.raises(CannotBench, match="CC names 'icc', which is not on the PATH"):
        find_compiler()


async def test_what_cannot_be_compiled_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusing = tmp_path / "cc"
    refusing.write_text("#!/bin/sh\necho no such header\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(compiler, "find_compiler", lambda: str(refusing))
    with pytest.raises(CannotBench, match=r"load.c cannot be compiled here: no such header"):
        await compile_program("load", tmp_path)
