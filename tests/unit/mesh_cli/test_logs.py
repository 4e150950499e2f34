from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator

import pytest

from daena_mesh.errors import ConfigurationError
from mesh_cli.logs import log_to_nobody, log_to_stderr


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root, ours, uvicorn = logging.getLogger(), logging.getLogger("daena_mesh"), logging.getLogger("uvicorn.error")
    # An uvicorn that another test has run in this process may have set up logging of its own.
    for logger in (uvicorn, logging.getLogger("uvicorn")):
        monkeypatch.setattr(logger, "handlers", [])
        monkeypatch.setattr(logger, "propagate", True)
    before = root.handlers[:], root.level, ours.level, uvicorn.filters[:], uvicorn.level
    yield
    root.handlers[:], root.level, ours.level, uvicorn.filters[:], uvicorn.level = before


def test_what_strangers_say_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    logging.getLogger("daena_mesh").warning("said %s", "\x1b[2J\nand more")
    assert capsys.readouterr().err.endswith("WARNING daena_mesh: said \\x1b[2J\\nand more\n")


@pytest.mark.parametrize("verbose", [True, False])
def test_only_verbose_tells_more_than_warnings(capsys: pytest.CaptureFixture[str], *, verbose: bool) -> None:
    log_to_stderr(verbose=verbose)
    logging.getLogger("daena_mesh").info("connected")
    logging.getLogger("uvicorn.error").info("started")
    assert ("connected" in capsys.readouterr().err) is verbose


def test_a_request_that_was_cut_off_by_the_end_leaves_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    log = logging.getLogger("uvicorn.error")
    log.error("Exception in ASGI application", exc_info=asyncio.CancelledError())
    assert capsys.readouterr().err == ""
    log.error("Exception in ASGI application", exc_info=ValueError("x"))
    assert "ValueError: x" in capsys.readouterr().err


def test_quick_commands_log_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_nobody()
    logging.getLogger("daena_mesh").error("nothing")
    assert capsys.readouterr().err == ""


def test_for_a_machine_each_line_is_an_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_LOG_FORMAT", "json")
    monkeypatch.setattr("sys.argv", ["mesh", "--verbose", "edge"])
    log_to_stderr()
    log = logging.getLogger("daena_mesh")
    log.warning("said %s", "\x1b[2J\nand more")
    try:
        raise ValueError("what for")
    except ValueError:
        log.exception("it failed")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["message"] == "said \x1b[2J\nand more"
    assert (first["level"], first["logger"], first["command"], first["pid"]) == (
        "warning", "daena_mesh", "edge", os.getpid()
    )  # fmt: skip
    assert first["timestamp"].endswith("Z")
    assert second["error"] == "ValueError"
    assert second["traceback"].endswith("ValueError: what for")


def test_another_format_is_refused_by_the_name_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_LOG_FORMAT", "xml")
    with pytest.raises(ConfigurationError, match="MESH_LOG_FORMAT"):
        log_to_stderr()
