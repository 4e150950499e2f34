"""The API as operators see it with `nats micro`."""

from __future__ import annotations

import os
import secrets
import socket

from daena_mesh.connection import Connection
from daena_mesh.micro import Endpoint, Figures, Service


def api_service(connection: Connection, figures: Figures) -> Service:
    """The service ``mesh-api``, whose requests are those that came by HTTP."""
    return Service(
        connection,
        "mesh-api",
        instance=secrets.token_hex(6),
        endpoints=[Endpoint("http", "http", figures=figures, metadata={"transport": "HTTP"})],
        description="The REST API of the mesh",
        metadata=lambda: {"pid": str(os.getpid()), "host": socket.gethostname()},
    )
