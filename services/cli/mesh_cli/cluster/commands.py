"""The commands of `mesh cluster`: their options and their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mesh_cli.options import NATS_PORT, PORT, Port, Verbose

cluster = typer.Typer(
    name="cluster",
    help="Run the mesh as a cluster.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
)
DATA_DIR = Path(".mesh-cluster")


@cluster.callback()
def _cluster() -> None:
    """Run the mesh as a cluster."""


@cluster.command()
def dev(
    *,
    port: Port = PORT,
    nats_port: Annotated[
        int,
        typer.Option(min=0, max=61535, help="First port of NATS; 0: free ones.", rich_help_panel="Where"),
    ] = NATS_PORT,
    data_dir: Annotated[
        Path, typer.Option(file_okay=False, help="Where everything is kept.", rich_help_panel="Where")
    ] = DATA_DIR,
    tls: Annotated[bool, typer.Option(help="Encrypt what passes between servers, and to their clients.")] = True,
    verbose: Verbose = False,
) -> None:
    """Run the topology of production on this machine: three nats-servers, two APIs, three edges, nginx in front.

    ```
    # the page is at http://127.0.0.1:8000/
    mesh cluster dev

    # beside another one
    mesh cluster dev --port 9000 --nats-port 4333 --data-dir .second

    # with one copy of each stream, and then, over the same data, with three
    MESH_REPLICAS=1 mesh cluster dev
    mesh cluster dev
    ```

    Every stream has three copies, each of them on disk before it is acknowledged. APIs and edges take the ports after
    `--port`; routes and monitoring of NATS lie 2,000 and 4,000 above `--nats-port`. Kill whatever you like: it is
    started again. Without nginx on the PATH each serves on its own port alone. Ctrl-C stops everything.
    """
    from mesh_cli.cluster.command import ClusterOptions, cluster_dev
    from mesh_cli.logs import log_to_stderr
    from mesh_cli.loop import run

    log_to_stderr(verbose=verbose)
    options = ClusterOptions(port=port, nats_port=nats_port, data_dir=data_dir, tls=tls, verbose=verbose)
    raise typer.Exit(run(cluster_dev(options)))
