"""The log of the services: lines on standard error, safe to look at in a terminal, or objects for a machine.

What events say is in neither.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from daena_mesh.ids import rfc3339
from daena_mesh.settings import load
from mesh_cli.rendering import json_line, printable


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the log is written."""

    log_format: Annotated[
        Literal["pretty", "json"],
        Meta(description="`pretty`: lines for a person. `json`: one object a line, for a machine."),
    ] = "pretty"


class TerminalFormatter(logging.Formatter):
    """Formats a record on one line, with what came from strangers escaped."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """Return the line of ``record``."""
        record.message = printable(record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """Formats a record as an object on one line: when, how bad, who says it, in which process, what."""

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of ``record``."""
        told: dict[str, object] = {
            "timestamp": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "command": self._command,
            "pid": os.getpid(),
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            told["error"] = record.exc_info[0].__name__
            told["traceback"] = self.formatException(record.exc_info)
        return json_line(told)


def log_to_nobody() -> None:
    """Keep the log of a command quiet whose errors come as sentences."""
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def log_to_stderr(*, verbose: bool = False) -> None:
    """Send logs to standard error: from WARNING, and where ``verbose`` ours from INFO.

    Raises:
        ConfigurationError: ``MESH_LOG_FORMAT`` is neither `pretty` nor `json`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(load(LogSettings)))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    requests = logging.getLogger("uvicorn.error")
    requests.setLevel(logging.ERROR)  # its warnings are about what strangers send, without any limit
    requests.addFilter(_is_no_cancellation)
    for ours in ("daena_mesh", "mesh_api", "mesh_edge", "mesh_brain", "mesh_cli"):
        logging.getLogger(ours).setLevel(logging.INFO if verbose else logging.WARNING)


def _formatter(settings: LogSettings) -> logging.Formatter:
    if settings.log_format == "json":
        return JsonFormatter(next((word for word in sys.argv[1:] if not word.startswith("-")), "mesh"))
    return TerminalFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Whether this is more than a request that was still running when the process was stopped."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
