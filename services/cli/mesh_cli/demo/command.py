"""`mesh demo`: the agents, until they are asked to stop."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from importlib.util import find_spec
from pathlib import Path

from daena_mesh.errors import ConfigurationError
from mesh_cli.logs import log_to_stderr
from mesh_cli.stopping import Stop


def check_installed() -> None:
    """Raise `ConfigurationError`, which says what helps, where the packages of the extra ``demo`` are missing."""
    missing = [name for name in ("psutil", "tantivy") if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"the demo needs {' and '.join(missing)}; install them: pip install 'daena-mesh[server,demo]'"
        )


async def demo(
    folder: Path | None,
    *,
    nats_url: str | None,
    badges: Path | None = None,
    is_child: bool = False,
    verbose: bool = False,
) -> int:
    """Run the agents until they are asked to stop.

    Args:
        folder: what to read; the present one where it is left out, or the SDK where there are no texts.
        nats_url: NATS servers, separated by commas; None: found by itself.
        badges: where the credentials of the agents are, if they need any.
        is_child: end with standard input, and say nothing.
        verbose: log more than warnings, which are logged once the agents are at work.

    Returns:
        The exit code: 0 after a stop that was asked for.

    Raises:
        MeshError: it cannot run.
    """
    check_installed()
    from mesh_cli.demo.agents import agents_at_work, folder_to_read

    folder = await asyncio.to_thread(folder_to_read, folder or Path())
    stop = Stop()
    if is_child:
        stop.when_stdin_closes()
    asked = asyncio.create_task(stop.asked.wait(), name="stop")
    try:
        async with agents_at_work(nats_url, folder, badges) as working:
            stop.started()
            log_to_stderr(verbose=verbose)
            if not is_child:
                sys.stdout.write(f"the reader, the librarian and the watchman are at work; they read {folder}\n")
                sys.stdout.flush()
            await asyncio.wait([asked, working], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
    except asyncio.CancelledError:
        if stop.number is None:
            raise
        return stop.exit_code
    finally:
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
    return 0
