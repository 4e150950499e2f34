"""What most people write first, for `mesh bench`: a manager of connections in FastAPI, and a loop that sends.

python naive.py NATS_URL

It follows live.> on NATS, serves /ws/agent/{agent_id} on a free port of 127.0.0.1, prints the port as {"port": N} once
events can come, and ends with its standard input. uvicorn and its loop are as they come.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from nats.aio.msg import Msg


class ConnectionManager:
    """Who is connected, by topic."""

    def __init__(self) -> None:
        self.connections: defaultdict[str, list[WebSocket]] = defaultdict(list)

    async def connect(self, websocket: WebSocket, topic: str) -> None:
        """Let somebody in."""
        self.connections[topic].append(websocket)
        await websocket.accept()

    def disconnect(self, websocket: WebSocket, topic: str) -> None:
        """Forget somebody."""
        if websocket in self.connections[topic]:
            self.connections[topic].remove(websocket)

    async def broadcast(self, topic: str, text: str) -> None:
        """Send to everybody, one after the other."""
        for websocket in self.connections[topic].copy():
            try:
                await websocket.send_text(text)
            except (WebSocketDisconnect, RuntimeError):
                self.disconnect(websocket, topic)


manager = ConnectionManager()


async def show(message: Msg) -> None:
    """Send one event to the sockets of its topic."""
    _, domain, topic, _ = message.subject.split(".", 3)
    if domain == "agent" and topic in manager.connections:
        event = json.loads(message.data)
        await manager.broadcast(topic, json.dumps({"subject": message.subject[5:], **event}, separators=(",", ":")))


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Follow what is stored."""
    client = await nats.connect(sys.argv[1])
    await client.subscribe("live.>", cb=show)
    await client.flush()
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    yield
    await client.close()


app = FastAPI(lifespan=lifespan)
listener = socket.socket()


@app.websocket("/ws/agent/{agent_id}")
async def follow(websocket: WebSocket, agent_id: str) -> None:
    """Keep a socket until it leaves."""
    await manager.connect(websocket, agent_id)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        manager.disconnect(websocket, agent_id)


def end_with_the_parent() -> None:
    """Wait for the end of standard input."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    listener.bind(("127.0.0.1", 0))
    uvicorn.Server(uvicorn.Config(app, log_level="warning", backlog=4096)).run(sockets=[listener])
