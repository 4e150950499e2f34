"""An edge's frames over a plain WebSocket: hear one, say one, and wait for the end."""

from __future__ import annotations

from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.support.deadlines import within


async def hear(ws: ClientConnection, event_type: str | None = None) -> dict[str, Any]:
    """Wait for the next frame, or past all others for the next one of ``event_type``."""
    async with within():
        while True:
            frame: dict[str, Any] = msgspec.json.decode(await ws.recv())
            if event_type in {None, frame["event_type"]}:
                return frame


async def say(ws: ClientConnection, **message: Any) -> None:
    """Send a message of a client."""
    await ws.send(msgspec.json.encode(message).decode())


async def end_of(ws: ClientConnection) -> int:
    """Wait until it is closed, whatever is said before, and give the code; 1006 where there is none."""
    async with within():
        try:
            while True:
                await ws.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
