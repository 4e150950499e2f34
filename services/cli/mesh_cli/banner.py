"""What `mesh up` says when everything answers."""

from __future__ import annotations

import contextlib
import os

from rich.console import Console
from rich.text import Text

from mesh_cli.rendering import printable
from mesh_cli.up import Running

_EXAMPLE = '{"activity":{"state":"searching"}}'


def banner(running: Running) -> Text:
    """Return the lines for a terminal."""
    lines = [
        Text.assemble(("Daena Mesh is up", "bold green"), " — open on this machine only, without authentication."),
        Text(),
        Text.assemble("  page      ", (f"{running.url}/", "bold cyan")),
        Text.assemble("  API       ", (f"{running.url}/docs", "cyan")),
        *(Text.assemble("  edge      ", (url, "cyan")) for url in running.edge_urls),
        Text.assemble("  NATS      ", (running.nats_url, "cyan")),
        Text(f"  data      {printable(str(running.data_dir or 'in that NATS, which was running'))}"),
        *([Text.assemble("  demo      ", (f"{running.url}/#/s/demo", "bold cyan"))] if running.has_demo else []),
        Text(),
        Text("Try it in another terminal:"),
        Text(f"  nats -s {running.nats_url} pub agent.scout.activity '{_EXAMPLE}'"),
        Text("  mesh tail"),
        Text(),
        Text("Ctrl-C stops it."),
    ]
    return Text("\n").join(lines)


def show_stopping() -> None:
    """Say that Ctrl-C was heard. Nobody may be reading any more, which is no reason not to stop."""
    with contextlib.suppress(OSError):
        os.write(1, b"Stopping; a second Ctrl-C ends it at once.\n")


def show_banner(running: Running) -> None:
    """Print it to standard output."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(banner(running))
    console.file.flush()
