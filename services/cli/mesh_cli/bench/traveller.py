"""How long an event travels: from the call that publishes it to a browser's socket, and through bare NATS.

Run as a program it connects to NATS and to an edge, takes commands as lines on standard input, answers each with a JSON
object on a line, and ends with its standard input::

    python -m mesh_cli.bench.traveller NATS_URL EDGE_PORT

    signals ours COUNT     SDK publish -> JetStream -> edge -> WebSocket
    signals bare COUNT     nats-py publish -> nats-server -> nats-py subscription
    records ours COUNT     SDK publish -> JetStream -> edge -> WebSocket
    records bare COUNT     nats-py js.publish -> JetStream -> acknowledgement

Events go out one by one, each some milliseconds after the one before has arrived: nobody is busy.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import sys
import time
from functools import partial
from typing import cast

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from daena_mesh.ids import now, uuid7
from daena_mesh.mesh import Mesh
from mesh_cli.loop import run

_KEY = base64.b64encode(bytes(16)).decode()
_PAUSE_S = 0.002
_ARRIVES_WITHIN_S = 10.0
_SUBJECTS = {"signals": "agent.bench.activity", "records": "chat.bench.message"}
_PATHS = {"signals": "/ws/agent/bench", "records": "/ws/chat/bench"}


class Travelled(msgspec.Struct, kw_only=True):
    """What came of one command."""

    middle_ms: float
    """The median."""
    p99_ms: float


class Arrivals:
    """Where what arrives is waited for, by the number in it."""

    def __init__(self) -> None:
        self._wanted = b""
        self._arrived: asyncio.Future[float] | None = None

    def expect(self, mark: str) -> asyncio.Future[float]:
        """Give what will hold the time at which ``mark`` arrived."""
        self._wanted = mark.encode()
        self._arrived = asyncio.get_running_loop().create_future()
        return self._arrived

    def take(self, data: bytes) -> None:
        """Look for what is expected."""
        if self._arrived is not None and not self._arrived.done() and self._wanted in data:
            self._arrived.set_result(time.perf_counter())


class Browser(asyncio.Protocol):
    """A WebSocket client that looks at the bytes it is sent, and answers nothing."""

    def __init__(self, path: str, arrivals: Arrivals) -> None:
        self._path = path
        self._arrivals = arrivals
        self._head = b""
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade (RFC 6455, section 4.1)."""
        cast("asyncio.WriteTransport", transport).write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Frames, after the greeting."""
        if self.joined.done():
            self._arrivals.take(data)
            return
        self._head += data
        if b'"recovered":true' in self._head:
            self.joined.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The edge has gone."""
        if not self.joined.done():
            self.joined.set_exception(ConnectionError(f"not let in: {self._head[:200]!r} {exc}"))


class Traveller:
    """Both ways, on one clock."""

    def __init__(self, mesh: Mesh, publisher: Client, arrivals: Arrivals) -> None:
        self._mesh = mesh
        self._publisher = publisher
        self._arrivals = arrivals
        self._marks = (f"mark-{number}-" for number in itertools.count())

    async def travel(self, stream: str, kind: str, count: int) -> Travelled:
        """Send ``count`` events, one after another."""
        way = {"ours": self._ours, "bare": self._heard if stream == "signals" else self._stored}[kind]
        times = []
        for _ in range(count):
            await asyncio.sleep(_PAUSE_S)
            times.append(await asyncio.wait_for(way(_SUBJECTS[stream], next(self._marks)), _ARRIVES_WITHIN_S))
        times.sort()
        return Travelled(middle_ms=times[count // 2] * 1e3, p99_ms=times[count * 99 // 100] * 1e3)

    async def _ours(self, subject: str, mark: str) -> float:
        arrived, payload = self._arrivals.expect(mark), self._payload(mark)
        began = time.perf_counter()
        await self._mesh.publish(subject, payload)
        return await arrived - began

    async def _heard(self, _subject: str, mark: str) -> float:
        arrived, body = self._arrivals.expect(mark), self._body(mark)
        began = time.perf_counter()
        await self._publisher.publish("bare.bench", body)
        return await arrived - began

    async def _stored(self, subject: str, mark: str) -> float:
        body, js = self._body(mark), self._publisher.jetstream()
        began = time.perf_counter()
        await js.publish(subject, body)
        return time.perf_counter() - began

    @staticmethod
    def _payload(mark: str) -> dict[str, str]:
        return {"session_id": "bench", "sender": "bench", "content": f"How are you? {mark}", "message_id": uuid7()}

    def _body(self, mark: str) -> bytes:
        event = {"event_type": "chat.message", "payload": self._payload(mark), "id": uuid7(), "timestamp": now()}
        return msgspec.json.encode(event)


async def _main(nats_url: str, edge_port: int) -> None:
    """Obey until standard input ends."""
    loop, arrivals = asyncio.get_running_loop(), Arrivals()
    for path in _PATHS.values():
        _, browser = await loop.create_connection(partial(Browser, path, arrivals), "127.0.0.1", edge_port)
        await asyncio.wait_for(browser.joined, _ARRIVES_WITHIN_S)
    publisher, subscriber = await nats.connect(nats_url), await nats.connect(nats_url)

    async def heard(message: Msg) -> None:
        arrivals.take(message.data)

    await subscriber.subscribe("bare.bench", cb=heard)
    await subscriber.flush()
    async with Mesh.connect(nats_url, name="bench") as mesh:
        traveller = Traveller(mesh, publisher, arrivals)
        while line := await asyncio.to_thread(sys.stdin.readline):
            stream, kind, count = line.split()
            result = await traveller.travel(stream, kind, int(count))
            sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
            sys.stdout.buffer.flush()
    await publisher.close()
    await subscriber.close()


if __name__ == "__main__":
    run(_main(sys.argv[1], int(sys.argv[2])))
