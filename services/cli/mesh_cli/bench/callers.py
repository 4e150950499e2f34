"""Callers of a REST API for benches: lean clients that keep their connections and ask as fast as they are answered.

Run as a program it takes commands as lines on standard input, answers each with a JSON object on a line, and ends with
its standard input::

    python -m mesh_cli.bench.callers PORT PATH BODY [TOKEN]

    call COUNT CALLERS    POST the JSON text BODY to PATH COUNT times, by CALLERS clients at a time
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterator

import msgspec

from mesh_cli.loop import run

_content_length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search


class Called(msgspec.Struct, kw_only=True):
    """What came of one ``call``."""

    seconds: float
    refused: int
    """How many answers were not 200."""
    middle_ms: float
    p99_ms: float
    cpu_seconds: float
    """Of the callers, user and system."""


class Caller(asyncio.Protocol):
    """One client: it asks, waits for the answer, and asks again."""

    def __init__(self, request: bytes, turns: Iterator[int], waits: list[float], ended: Callable[[], None]) -> None:
        self.refused = 0
        self._request = request
        self._turns = turns
        self._waits = waits
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._answer = b""
        self._asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = transport  # type: ignore[assignment] # uvloop's are none by class
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Take an answer, or a piece of one."""
        answer = self._answer = self._answer + data
        head = answer.find(b"\r\n\r\n")
        if head < 0 or (length := _content_length(answer, 0, head)) is None:
            return
        if len(answer) >= head + 4 + int(length[1]):
            self._waits.append(time.perf_counter() - self._asked_at)
            self.refused += not answer.startswith(b"HTTP/1.1 200 ")
            self._answer = b""
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """It is over, by us or by the server."""
        self._ended()

    def _ask(self) -> None:
        assert self._transport is not None  # noqa: S101 - it is connected
        if next(self._turns, None) is None:
            self._transport.close()
            return
        self._asked_at = time.perf_counter()
        self._transport.write(self._request)


async def call(port: int, request: bytes, count: int, callers: int) -> Called:
    """Ask ``count`` times."""
    loop, turns, waits = asyncio.get_running_loop(), iter(range(count)), list[float]()
    gone, clients = asyncio.Semaphore(0), list[Caller]()

    def client() -> Caller:
        clients.append(Caller(request, turns, waits, gone.release))
        return clients[-1]

    began, began_cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(loop.create_connection(client, "127.0.0.1", port) for _ in range(callers)))
    for _ in clients:
        await gone.acquire()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    waits.sort()
    return Called(
        seconds=seconds,
        refused=sum(client.refused for client in clients) + count - len(waits),
        middle_ms=waits[len(waits) // 2] * 1e3,
        p99_ms=waits[len(waits) * 99 // 100] * 1e3,
        cpu_seconds=cpu_seconds,
    )


def request_of(path: str, body: bytes, token: str = "") -> bytes:
    """Give a whole HTTP/1.1 request, with ``token`` if there is one."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{bearer}\r\n"
    ).encode() + body


async def _main(port: int, path: str, body: str, token: str = "") -> None:
    """Obey until standard input ends."""
    request = request_of(path, body.encode(), token)
    while line := await asyncio.to_thread(sys.stdin.readline):
        _verb, count, callers = line.split()
        result = await call(port, request, int(count), int(callers))
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    run(_main(int(sys.argv[1]), *sys.argv[2:]))
