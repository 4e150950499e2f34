"""What `mesh up` says when everything answers."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from daena_mesh.settings import load
from daena_mesh.tokens import TokenSettings
from mesh_cli.rendering import printable
from mesh_cli.up import Running

_EXAMPLE = '{"activity":{"state":"searching"}}'


def banner(running: Running) -> Text:
    """Return the lines for a terminal."""
    lines = [
        Text.assemble(("Daena Mesh is up", "bold green"), f" — open {_where(running)}, {_doors(running)}."),
        Text(),
        Text.assemble("  page      ", (f"{running.url}/", "bold cyan")),
        Text.assemble("  API       ", (f"{running.url}/docs", "cyan")),
        *(Text.assemble("  edge      ", (url, "cyan")) for url in running.edge_urls),
        Text.assemble("  NATS      ", (running.nats_url, "cyan")),
        Text(f"  data      {printable(str(running.data_dir or 'in that NATS, which was running'))}"),
        *([Text.assemble("  demo      ", (f"{running.url}/#/chat/demo", "bold cyan"))] if running.has_demo else []),
        Text(),
        *map(Text, _secure_examples(running) if running.is_secure else _examples(running)),
        Text(),
        Text("Ctrl-C stops it."),
    ]
    return Text("\n").join(lines)


def _where(running: Running) -> str:
    return "on this machine only" if running.is_on_loopback else "to the network, in plain HTTP: put TLS before it"


def _doors(running: Running) -> str:
    settings = load(TokenSettings)
    if settings.token_key or settings.token_key_file or settings.jwks_url:
        nats = "and its NATS to credentials alone" if running.is_secure else "its NATS without authentication"
        return f"to who has a token, {nats}"
    return "and its NATS to credentials alone" if running.is_secure else "without authentication"


def _examples(running: Running) -> list[str]:
    return [
        "Try it in another terminal:",
        f"  nats -s {running.nats_url} pub agent.scout.activity '{_EXAMPLE}'",
        f"  {_mesh()} tail",
    ]


def _secure_examples(running: Running) -> list[str]:
    where = f" --data-dir {printable(str(running.data_dir))}" if str(running.data_dir) != ".mesh" else ""
    mesh = _mesh()
    return [
        "Let somebody in, in another terminal:",
        f"  {mesh} creds agent scout --session s1{where}",
        f"  {mesh} creds ops me{where}",
        f"  MESH_NATS_CREDS={printable(str(running.data_dir))}/creds/users/me.creds {mesh} tail",
    ]


def _mesh() -> str:
    """How this command is called: as it was, where a shell would find no `mesh` by itself."""
    called = Path(sys.argv[0])
    return shlex.quote(str(called)) if called.name == "mesh" and shutil.which("mesh") is None else "mesh"


def show_stopping() -> None:
    """Say that Ctrl-C was heard. Nobody may be reading any more, which is no reason not to stop."""
    with contextlib.suppress(OSError):
        os.write(1, b"Stopping; a second Ctrl-C ends it at once.\n")


def show_banner(running: Running) -> None:
    """Print it to standard output."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(banner(running))
    console.file.flush()
