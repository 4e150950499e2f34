"""uvicorn's WebSocket protocol, which hands the socket over once FastAPI has let it in.

Run uvicorn with ``--ws mesh_edge.protocol:HandoverProtocol``. Endpoints that do not ask for a hand-over work as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from mesh_edge.socket import WebSocket

HAND_OVER = "mesh.hand_over"
"""The key in the ``extensions`` of an ASGI scope under which `HandoverProtocol.hand_over` is found."""

_MOST_EARLY_BYTES = 65_536

Take = Callable[[asyncio.Transport, set[Any]], "WebSocket"]
"""Is given the transport, and the connections of its server."""


class _Given:
    """Stands where the transport was: the rest of uvicorn's protocol may close it as it likes."""

    def close(self) -> None:
        """Nothing is here any more."""

    def is_closing(self) -> bool:
        """Nothing is here any more."""
        return True


class HandoverProtocol(WebSocketsSansIOProtocol):
    """Shakes hands as uvicorn does; after `hand_over` nothing of it is left on the connection."""

    _socket: WebSocket | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Browsers offer compression always, and uvicorn takes it by default; a handed-over socket has none.
        self.conn.available_extensions = []
        self._early: bytes | None = b""
        """What came behind the handshake before it was answered; None once it was. uvicorn would stumble over it."""

    def handle_connect(self, event: Any) -> None:
        """A handshake is there."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][HAND_OVER] = self.hand_over  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """More of it. A handshake that cannot be read, such as one with an endless line, uvicorn would never answer."""
        if self.handshake_initiated and self._early is not None:
            self._early += data
            if len(self._early) > _MOST_EARLY_BYTES:
                self.transport.abort()
            return
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    def hand_over(self, take: Take) -> WebSocket:
        """Give the transport to ``take``, once the endpoint has accepted; which makes what it returns its protocol.

        As long as that is connected it is one of the server's connections, which are told to shut down.

        Raises uvicorn's `ClientDisconnected` for a client that has gone already.
        """
        if self.transport.is_closing():  # the peer has gone: nothing would ever end what took it
            raise ClientDisconnected
        self.stop_keepalive()
        connections, transport = cast("set[object]", self.connections), self.transport
        socket = self._socket = take(transport, connections)
        connections.discard(self)
        del self.scope["extensions"][HAND_OVER]  # which points back here, as `Link` forgets what does
        self.disconnected = True
        self.transport = _Given()  # type: ignore[assignment]
        while not self.queue.empty():  # what the client said before it was let in
            said = self.queue.get_nowait()
            if said["type"] == "websocket.receive" and (text := said.get("text")) is not None:
                socket.text_received(text)
        early, self._early = self._early, None
        if early:
            socket.data_received(early)
        if self.read_paused:
            transport.resume_reading()
        return socket

    def _let_in(self) -> None:
        """It was accepted, and not handed over at once: from here on it is uvicorn's."""
        early, self._early = self._early, None
        if early and not self.transport.is_closing():
            super().data_received(early)

    async def send(self, message: Any) -> None:
        """Send; an answer that refuses the handshake completes it."""
        await super().send(message)
        if message["type"] == "websocket.accept":
            self.loop.call_soon(self._let_in)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    async def receive(self) -> Any:
        """After a hand-over nothing is received here but the end."""
        if self._socket is None:
            return await super().receive()
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._socket.when_lost(gone.cancel)
        await asyncio.wait([gone])
        return {"type": "websocket.disconnect", "code": 1005}
