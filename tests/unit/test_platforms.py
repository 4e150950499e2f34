"""The SDK imports where there is less: no POSIX modules (Windows), no uvloop, no web framework."""

from __future__ import annotations

import subprocess
import sys

import pytest

POSIX = ["fcntl", "grp", "pty", "pwd", "resource", "termios", "uvloop"]
SERVER = ["fastapi", "httptools", "pydantic", "rich", "starlette", "typer", "uvicorn", "websockets"]

# The standard library has chosen what it needs before anything is taken away.
IMPORT = """
import os, sys, asyncio, subprocess, pathlib, tempfile, ssl, signal, socket
for name in {blocked!r}:
    sys.modules[name] = None
import daena_mesh, daena_mesh.sync
from daena_mesh import Mesh, emit_chat_message
"""


@pytest.mark.parametrize("blocked", [POSIX, SERVER], ids=["without POSIX", "without the server"])
def test_the_sdk_imports_without(blocked: list[str]) -> None:
    program = IMPORT.format(blocked=blocked)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert run.returncode == 0, run.stderr


def test_the_server_imports_without_uvloop() -> None:
    program = "import sys\nsys.modules['uvloop'] = None\nimport mesh_cli.main, mesh_cli.up, mesh_cli.loop"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert run.returncode == 0, run.stderr
