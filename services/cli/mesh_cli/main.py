"""The `mesh` command: its options, its help, its exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from daena_mesh.errors import MeshError
from mesh_cli import services, tools
from mesh_cli.capacity.commands import plan
from mesh_cli.cluster.commands import cluster
from mesh_cli.creds.commands import creds
from mesh_cli.rendering import printable

commands = typer.Typer(
    name="mesh",
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"mesh {metadata.version('daena-mesh')}\n")
        raise typer.Exit


@commands.callback()
def mesh(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A real-time event mesh for systems of AI agents.

    Start it, watch it, publish to it:

    ```
    mesh up
    mesh tail
    mesh emit agent.scout.activity '{"activity": {"state": "searching"}}'
    ```

    Each command explains itself: `mesh up --help`.
    """


for command in (
    *(services.up, services.api, services.edge, services.brain, services.demo),
    *(tools.tail, tools.emit, tools.token, tools.revoke, tools.epoch, tools.top, tools.doctor, tools.bench),
    plan,
):
    commands.command()(command)
commands.add_typer(creds)
commands.add_typer(cluster)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command; what goes wrong is one sentence on standard error and an exit code above 0."""
    try:
        sys.exit(commands(arguments, prog_name="mesh", standalone_mode=False) or 0)
    except MeshError as error:
        _fail(f"{error}{_remedy(str(error))}", 1)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "mesh"
        if what := error.format_message().rstrip("."):
            _fail(f"{what}. Try: {command} --help", error.exit_code)
        sys.exit(error.exit_code)  # nothing was asked for, and its help was shown
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain about it once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - a person at a terminal gets a sentence
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        place = f" at {Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else ""
        _fail(f"this should not happen, please report it: {type(error).__name__}{place}: {error}", 1)


def _remedy(sentence: str) -> str:
    """What to do where NATS cannot be reached; whatever else goes wrong says so itself."""
    if " is not reachable: " not in sentence:
        return ""
    if "Authorization" in sentence:
        return "; it takes nobody without credentials: `mesh creds ops NAME`, and MESH_NATS_CREDS with what it prints"
    return "; start a mesh with `mesh up`, or name the NATS of another with MESH_NATS_URL"


def _fail(sentence: str, code: int) -> NoReturn:
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    console.print("mesh:", style="bold red", end=" ")
    console.print(printable(sentence))
    sys.exit(code)
