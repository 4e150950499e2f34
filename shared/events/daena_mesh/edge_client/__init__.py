"""A client of an edge, for those outside NATS: events once and in order, over reconnects, by WebSocket.

It needs the extra ``edge-client`` (`websockets`), and is the counterpart of `sdk/js`:

>>> from daena_mesh.edge_client import connect
>>> async with connect("http://127.0.0.1:8000", "chat_s1") as edge:  # doctest: +SKIP
...     async for item in edge:
...         print(item)
"""

from __future__ import annotations

from daena_mesh.edge_client.bearer import GetToken
from daena_mesh.edge_client.client import EdgeClient, EdgeState, connect

__all__ = ["EdgeClient", "EdgeState", "GetToken", "connect"]
