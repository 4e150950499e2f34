"""Where the `mesh` command begins, with nothing but the standard library: an SDK alone lacks what it needs."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import NoReturn

NEEDED = ("fastapi", "rich", "typer", "uvicorn")


def main() -> NoReturn:
    """Run `mesh`, or say in one sentence what to install for it, and exit with 1."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"mesh: this command needs {', '.join(missing)}; install them: pip install 'daena-mesh[server]'\n"
        )
        sys.exit(1)

    from mesh_cli.main import main as run

    run()
