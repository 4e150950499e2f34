"""An API of a test's own, as people run it: ``mesh api`` as a process, on a free port."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from daena_mesh.errors import MeshError

_START_S = 30.0
_ready = re.compile(r"ready at (http://\S+)").search


@contextlib.contextmanager
def api(nats_url: str, log: Path) -> Iterator[str]:
    """Run one for a block, and give its address; ``log`` is where it writes. Raises `MeshError`, quoting that."""
    command = [sys.executable, "-m", "mesh_cli", "api", "--port", "0", "--nats-url", nats_url]
    with (
        log.open("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        alarm = threading.Timer(_START_S, process.kill)
        alarm.start()
        try:
            found = _ready(process.stdout.readline()) if process.stdout is not None else None
            alarm.cancel()
            if found is None:
                process.kill()
                process.wait()
                errors.seek(0)
                raise MeshError(f"mesh api did not start: {errors.read()[-2_000:].strip()}")
            yield found[1]
        finally:
            alarm.cancel()
            process.kill()
