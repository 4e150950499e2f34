"""The WebSocket edge of Daena Mesh: stateless nodes that fan events out to browsers.

>>> from mesh_edge import websocket_router
"""

from __future__ import annotations

from mesh_edge.edge import Edge
from mesh_edge.manager import ConnectionManager
from mesh_edge.protocol import HandoverProtocol
from mesh_edge.router import edge_of, websocket_router
from mesh_edge.settings import EdgeSettings

__all__ = ["ConnectionManager", "Edge", "EdgeSettings", "HandoverProtocol", "edge_of", "websocket_router"]
