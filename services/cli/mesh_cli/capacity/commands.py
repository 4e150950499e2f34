"""The command `mesh plan`: what it takes, and its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plan(
    *,
    sockets: Annotated[int, typer.Option(min=1, max=1_000_000_000, help="How many are connected.")] = 10_000,
    events: Annotated[float, typer.Option(min=1, max=1e9, help="Events a second.")] = 1_000,
    readers: Annotated[float, typer.Option(min=1, help="How many sockets are shown one event.")] = 10,
    records: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the events that are RECORDS, synced to disk.")
    ] = 0.1,
    agents: Annotated[int, typer.Option(min=0, help="How many agents have a heartbeat.")] = 1_000,
    replicas: Annotated[int, typer.Option(min=1, max=5, help="Copies of each stream.")] = 3,
    leaves: Annotated[int, typer.Option(min=0, max=10_000, help="Leaf nodes that edges connect to.")] = 0,
    bench: Annotated[
        Path | None, typer.Option("--from", dir_okay=False, metavar="FILE", help="What mesh bench --json kept.")
    ] = None,
    trial: Annotated[
        bool, typer.Option("--trial", help="Hold the simulation against what is measured in that file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Work out what a mesh of some size needs: edges, memory, streams, NATS, bandwidth, and what ends first.

    ```
    mesh plan --sockets 1000000 --events 100000 --readers 10
    mesh plan --sockets 50000 --events 2000 --from outcome.json
    mesh plan --trial --from outcome.json
    ```

    Costs of single steps are fitted to what `mesh bench` measured, and a simulated edge works through the load.
    `docs/scaling.md` says how, and how far it can be believed.
    """
    from mesh_cli.capacity.command import compare
    from mesh_cli.capacity.command import plan as show
    from mesh_cli.capacity.sizing import Want

    if trial:
        if bench is None:
            raise typer.BadParameter("--trial needs --from")
        raise typer.Exit(compare(bench))
    want = Want(
        sockets=sockets,
        events=events,
        readers=readers,
        records=records,
        agents=agents,
        replicas=replicas,
        leaves=leaves,
    )
    raise typer.Exit(show(want, bench=bench, as_json=as_json))
