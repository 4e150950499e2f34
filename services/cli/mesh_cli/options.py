"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HOST = "127.0.0.1"
PORT = 8000
NATS_PORT = 4222
DATA_DIR = Path(".mesh")

Host = Annotated[
    str,
    typer.Option(help="Address to listen on; off loopback tokens are needed: MESH_TOKEN_KEY.", rich_help_panel="Where"),
]
Port = Annotated[
    int,
    typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.", rich_help_panel="Where"),
]
NatsUrl = Annotated[
    str,
    typer.Option(
        envvar="MESH_NATS_URL",
        help="NATS servers, separated by commas. By default the mesh that runs on this machine.",
        rich_help_panel="Where",
    ),
]

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log more than warnings.")]
