"""The log of the services: lines on standard error, safe to look at in a terminal."""

from __future__ import annotations

import asyncio
import logging
import sys

from mesh_cli.rendering import printable


class TerminalFormatter(logging.Formatter):
    """Formats a record on one line, with what came from strangers escaped."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """Return the line of ``record``."""
        record.message = printable(record.message)
        return super().formatMessage(record)


def log_to_nobody() -> None:
    """Keep the log of a command quiet whose errors come as sentences."""
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def log_to_stderr(*, verbose: bool = False) -> None:
    """Send logs to standard error: from WARNING, and where ``verbose`` ours from INFO."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TerminalFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    requests = logging.getLogger("uvicorn.error")
    requests.setLevel(logging.ERROR)  # its warnings are about what strangers send, without any limit
    requests.addFilter(_is_no_cancellation)
    for ours in ("daena_mesh", "mesh_api", "mesh_edge", "mesh_brain", "mesh_cli"):
        logging.getLogger(ours).setLevel(logging.INFO if verbose else logging.WARNING)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Whether this is more than a request that was still running when the process was stopped."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
