"""Serving until stopped: who came last is answered, not cut off."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Request, WebSocket

from mesh_cli.listening import Listener, bind
from mesh_cli.notifier import Notifier
from mesh_cli.serve import serve
from mesh_cli.stopping import Stop
from tests.support.deadlines import within
from tests.support.ws_client import handshake

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nHello"


def app() -> FastAPI:
    made = FastAPI()

    @made.get("/readyz")
    @made.get("/")
    async def here() -> str:
        return "here"

    @made.post("/")
    async def said(request: Request) -> str:
        return (await request.body()).decode()

    return made


class Stopped(Stop):
    """A stop that a test asks for, without signals."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.number = None
        self._starting = None
        self._notifier = Notifier({})


@asynccontextmanager
async def served(application: FastAPI | None = None) -> AsyncIterator[tuple[Listener, Stop, asyncio.Task[None]]]:
    listener, stop, ready = bind("127.0.0.1", 0), Stopped(), asyncio.Event()

    async def on_ready() -> None:
        ready.set()

    async def drain() -> None:
        pass

    serving = asyncio.create_task(serve(application or app(), listener, stop, on_ready=on_ready, drain=drain))
    async with within(20):
        await ready.wait()
        yield listener, stop, serving
        await serving


def connected(listener: Listener) -> socket.socket:
    """Connect without giving the loop a turn, so that it waits in line."""
    sock = socket.create_connection(("127.0.0.1", listener.port))
    sock.setblocking(False)
    return sock


async def ask(sock: socket.socket, request: bytes) -> bytes:
    """Send a request, and give the first line of its answer; empty where there was none."""
    loop = asyncio.get_running_loop()
    async with within():
        await loop.sock_sendall(sock, request)
        return (await loop.sock_recv(sock, 65_536)).partition(b"\r\n")[0]


@pytest.mark.promise("P-DRAIN-3")
async def test_who_waits_in_line_when_the_door_closes_is_answered() -> None:
    async with served() as (listener, stop, _):
        address = listener.socket.getsockname()
        stop.asked.set()
        await asyncio.sleep(0)  # `serve` goes on in the next turn, before anybody is accepted in it
        line = [connected(listener) for _ in range(50)]
        assert await asyncio.gather(*(ask(sock, GET) for sock in line)) == [b"HTTP/1.1 200 OK"] * 50
        for sock in line:
            sock.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def test_who_says_nothing_does_not_hold_the_end_up_for_long() -> None:
    async with served() as (listener, stop, serving):
        with connected(listener):
            stop.asked.set()
            async with within(10):
                await serving


@pytest.mark.promise("P-DRAIN-3")
@pytest.mark.parametrize(("request_bytes", "cut"), [(GET, 10), (POST, -3)], ids=["head", "body"])
async def test_who_is_in_the_middle_of_a_request_is_answered(
    request_bytes: bytes, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_cli.serve._ARRIVED_WITHIN_S", 10)
    async with served() as (listener, stop, _):
        with connected(listener) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, request_bytes[:cut])
            stop.asked.set()
            await asyncio.sleep(0.3)  # uvicorn looks ten times a second whether to end
            assert await ask(sock, request_bytes[cut:]) == b"HTTP/1.1 200 OK"


@pytest.mark.promise("P-DRAIN-3")
async def test_a_handshake_that_is_being_decided_on_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh_cli.serve._ARRIVED_WITHIN_S", 10)
    is_asked, may_come = asyncio.Event(), asyncio.Event()
    thoughtful = app()

    @thoughtful.websocket("/ws")
    async def decide(websocket: WebSocket) -> None:
        is_asked.set()
        await may_come.wait()
        await websocket.accept()

    async with served(thoughtful) as (listener, stop, _):
        with connected(listener) as sock:
            asking = asyncio.create_task(ask(sock, handshake("/ws")))
            await is_asked.wait()
            stop.asked.set()
            await asyncio.sleep(0.3)  # the same
            may_come.set()
            assert await asking == b"HTTP/1.1 101 Switching Protocols"
