"""A bar in the terminal, where standard error is one and `rich` is installed; else nothing at all."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from daena_mesh.progress import ProgressState

Show = Callable[[ProgressState], None]


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Show]:
    """Draw a bar for a block, which gives the progress to what it gets."""
    bar = _bar() if sys.stderr.isatty() else None
    if bar is None:
        yield lambda _: None
        return
    row = bar.add_task(title.replace("[", r"\["), total=None)
    try:
        yield lambda state: bar.update(row, completed=state.done, total=state.total)
    finally:
        bar.stop()


def _bar() -> Any:
    """A bar of rich's that is being drawn; None without rich, or while another one is drawn."""
    try:
        from rich.console import Console
        from rich.errors import LiveError
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True))
    try:
        bar.start()
    except LiveError:
        return None
    return bar
