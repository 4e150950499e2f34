"""The commands of `mesh creds`: their options, their help, what they say."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from daena_mesh.nats_config import trusting
from daena_mesh.permissions import AGENT, OPS, check_role
from daena_mesh.settings import MeshSettings, load
from daena_mesh.vault import Vault
from mesh_cli.rendering import printable
from mesh_cli.tokens import seconds_of

creds = typer.Typer(
    name="creds",
    help="Make, list and revoke the credentials that NATS enforces.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
)

DataDir = Annotated[
    Path, typer.Option(file_okay=False, help="Where the mesh keeps everything; the keys are in `creds` in it.")
]
Name = Annotated[str, typer.Argument(help="Up to 64 of A-Z a-z 0-9 _ -")]
Renew = Annotated[bool, typer.Option("--renew", help="Make new ones beside those that there are.")]
Ttl = Annotated[str, typer.Option(metavar="TIME", help="How long they are good: 12h, 30d. By default for ever.")]
NatsUrl = Annotated[
    str,
    typer.Option(
        envvar="MESH_NATS_URL",
        help="NATS servers, separated by commas. By default the mesh that runs on this machine.",
    ),
]
DATA_DIR = Path(".mesh")


@creds.command()
def init(*, data_dir: DataDir = DATA_DIR) -> None:
    """Make the keys: an operator, accounts, and a signing key for each role.

    ```
    mesh creds init
    mesh up --secure
    ```

    `MESH_SUBJECTS` is read: services may publish what it adds. Nothing is ever overwritten.
    """
    vault = Vault.create(data_dir / "creds", load(MeshSettings).subjects)
    _say(f"The keys are in {vault.folder}, for you alone. Start with: mesh up --secure")


@creds.command()
def agent(
    name: Name,
    *,
    session: Annotated[list[str] | None, typer.Option(help="A session to work in; may be given again.")] = None,
    department: Annotated[list[str] | None, typer.Option(help="A department to serve; may be given again.")] = None,
    ttl: Ttl = "",
    renew: Renew = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Make the credentials of an agent, and print where they are.

    ```
    mesh creds agent scout
    mesh creds agent scout --session s1 --session s2 --department research --renew
    ```

    It may tell what it does, take what it is asked, and write and follow the chats of its sessions; nothing else. No
    server has to be told, and none has to run.
    """
    minted = Vault.open(data_dir / "creds").mint(
        AGENT, name, sessions=session or (), departments=department or (), ttl_s=_seconds(ttl), renew=renew
    )
    _say(str(minted.path))


@creds.command()
def service(
    role: Annotated[str, typer.Argument(metavar="api|edge|brain|leaf", help="What it is.")],
    *,
    name: Annotated[str, typer.Option(help="By default what it is.")] = "",
    agent: Annotated[str, typer.Option(help="The agent that a brain answers as.")] = "daena",
    ttl: Ttl = "",
    renew: Renew = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Make the credentials of a service, and print where they are.

    ```
    mesh creds service api
    MESH_NATS_CREDS=.mesh/creds/users/api.creds mesh api
    ```

    `mesh up --secure` makes its own.
    """
    agents = [agent] if check_role(role) == "brain" else []
    minted = Vault.open(data_dir / "creds").mint(role, name or role, agents=agents, ttl_s=_seconds(ttl), renew=renew)
    _say(str(minted.path))


@creds.command()
def ops(name: Name, *, ttl: Ttl = "", renew: Renew = False, data_dir: DataDir = DATA_DIR) -> None:
    """Make the credentials of an operator, who reads everything and writes nothing.

    ```
    mesh creds ops ada
    MESH_NATS_CREDS=.mesh/creds/users/ada.creds mesh tail

    # with the nats command
    mesh creds context ada
    nats --context ada stream view RECORDS
    ```
    """
    _say(str(Vault.open(data_dir / "creds").mint(OPS, name, ttl_s=_seconds(ttl), renew=renew).path))


@creds.command()
def revoke(name: Name, *, nats_url: NatsUrl = "", data_dir: DataDir = DATA_DIR) -> None:
    """Have none of a name's credentials count any more: who is connected with them is disconnected at once.

    ```
    mesh creds revoke scout
    mesh creds revoke scout --nats-url nats://10.0.0.1:4222
    ```

    It tells the servers; where none answers it fails, and may be repeated.
    """
    from mesh_cli.creds.telling import tell_servers
    from mesh_cli.logs import log_to_nobody
    from mesh_cli.loop import run

    log_to_nobody()
    vault = Vault.open(data_dir / "creds")
    jwt = vault.revoke(name)
    code = run(tell_servers(vault, jwt, name, nats_url=nats_url or None))
    if code == 0:
        _say(f"{name} is revoked.")
    raise typer.Exit(code)


@creds.command()
def server(
    *,
    jwt_dir: Annotated[str, typer.Option(help="Where the server keeps what it is told of accounts.")] = "./jwt",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Print what a nats-server of your own is told to take these credentials; no secrets are in it.

    ```
    mesh creds server > auth.conf
    mesh creds server --jwt-dir /var/lib/nats/jwt > /etc/nats/auth.conf
    ```

    Its configuration includes the file: `include ./auth.conf`. All servers of a cluster take the same one.
    """
    trust = Vault.open(data_dir / "creds").trust()
    _say("# Written by `mesh creds server`: whose credentials count. None of it is secret.")
    for line in trusting(trust, jwt_dir):
        _say(line)


@creds.command("list")
def list_(*, data_dir: DataDir = DATA_DIR) -> None:
    """Show for whom credentials were made.

    ```
    mesh creds list
    ```
    """
    for name, entry in sorted(Vault.open(data_dir / "creds").users().items()):
        state = "revoked" if entry.is_revoked else f"{len(entry.keys)} key{'s' * (len(entry.keys) > 1)}"
        places = [*(f"session {ident}" for ident in entry.sessions), *(f"department {i}" for i in entry.departments)]
        _say("  ".join([f"{name:<24}", f"{entry.role:<6}", f"{state:<8}", *places]).rstrip())


@creds.command()
def context(name: Name, *, nats_url: NatsUrl = "", data_dir: DataDir = DATA_DIR) -> None:
    """Write a context of the `nats` command, named as the user, and print where it is.

    ```
    mesh creds context ada
    nats --context ada micro ls
    MESH_NATS_CONTEXT=ada mesh tail
    ```

    It names the server, the credentials, and the subjects under which answers may come.
    """
    from mesh_cli.creds.context import write_context

    vault = Vault.open(data_dir / "creds")
    _say(str(write_context(vault, name, os.environ, nats_url=nats_url)))


def _seconds(ttl: str) -> int:
    return seconds_of(ttl) if ttl else 0


def _say(line: str) -> None:
    sys.stdout.write(printable(line) + "\n")
