"""The files that git keeps, or would keep."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def tracked_files() -> tuple[Path, ...]:
    """List every file of the repository that exists, but for what .gitignore names.

    In a folder that is no clone, or without git: every file outside hidden folders.
    """
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        every = ROOT.rglob("*")
        return tuple(path for path in every if path.is_file() and "/." not in f"/{path.relative_to(ROOT)}")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())
