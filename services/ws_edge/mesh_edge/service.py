"""An edge as operators see it with `nats micro`."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Any

from daena_mesh.micro import Endpoint, Figures, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh_edge.edge import Edge


def edge_service(edge: Edge) -> Service:
    """The service ``mesh-edge``, whose requests are the live frames that it gave to its sockets."""

    def read(figures: Figures) -> None:
        figures.requests = edge.deliveries

    def data() -> Mapping[str, Any]:
        return {
            "sockets": sum(1 for _ in edge.sockets()),
            "topics": sum(1 for _ in edge.topics()),
            "longest_token_s": round(edge.longest_token_s),
            "refused": edge.counts.refused.total(),
            "latency": {"bounds_s": edge.latency.bounds, "counts": edge.latency.counts()},
        }

    return Service(
        edge.mesh.connection,
        "mesh-edge",
        instance=secrets.token_hex(6),
        endpoints=[Endpoint("deliveries", "live.>", read=read, data=data, metadata={"transport": "WebSocket, SSE"})],
        description="Sends events on to browsers",
        metadata=lambda: {"edge": edge.edge_id, "pid": str(os.getpid()), "host": socket.gethostname()},
    )
