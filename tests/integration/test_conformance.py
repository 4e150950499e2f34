"""What the edge speaks is WebSocket, in the eyes of others, on real sockets.

The Autobahn suite wants its messages echoed and nothing else said, and an edge greets and does not echo. So the suite
attacks `tests.support.echo_server`, the edge's own parser and frames in the smallest shell; the real edge gets the
golden frames of ``tests/vectors/frames.json``, read back by the `websockets` library.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from websockets.frames import Close, Frame, Opcode

from daena_mesh.embedded import NatsServer
from mesh_edge.app import create_app
from tests.support.deadlines import eventually, within
from tests.support.echo_server import echo_server
from tests.support.real_parties import skip
from tests.support.wire import handshake, wire

TESTS = Path(__file__).parents[1]
AUTOBAHN = TESTS / "support" / "autobahn.py"
VECTORS = json.loads((TESTS / "vectors" / "frames.json").read_text(encoding="utf-8"))
LARGEST_MESSAGE_BYTES = 16 << 20

UNDEFINED = {"7.1.6", "7.13.1", "7.13.2"}
"""Cases on which RFC 6455 is silent, so the suite has no verdict: a close behind much unread data, and close codes
beyond 4999."""


@pytest.mark.promise("P-FRAME-1")
@pytest.mark.timeout(180)
async def test_every_case_of_the_autobahn_suite_passes() -> None:
    if importlib.util.find_spec("kosoku") is None:
        skip("install kosoku to run this test: pip install kosoku")
    async with echo_server(LARGEST_MESSAGE_BYTES) as url, within(170):
        suite = await asyncio.create_subprocess_exec(sys.executable, AUTOBAHN, url, stdout=PIPE, stderr=PIPE)
        try:
            told, complaints = await suite.communicate()
        finally:
            if suite.returncode is None:
                suite.kill()
                await suite.wait()
    assert suite.returncode == 0, complaints.decode()
    verdicts = json.loads(told)
    assert {case: verdict for case, verdict in verdicts.items() if verdict != ["OK", "OK"]} == {
        case: ["INFORMATIONAL", "INFORMATIONAL"] for case in UNDEFINED
    }
    assert len(verdicts) > 240


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge_port(shared_nats: NatsServer) -> AsyncIterator[int]:
    """Serve an edge of the module's own, and give its port."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MESH_NATS_URL", shared_nats.url)
        config = uvicorn.Config(
            create_app(),
            port=0,
            ws="mesh_edge.protocol:HandoverProtocol",
            ws_per_message_deflate=False,
            log_level="warning",
            timeout_graceful_shutdown=2,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        try:
            await eventually(lambda: server.started or serving.done())
            yield server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            await serving


on_the_module_s_loop = pytest.mark.asyncio(loop_scope="module")


@on_the_module_s_loop
@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["name"])
async def test_the_edge_closes_on_each_frame_that_is_refused(edge_port: int, vector: dict[str, Any]) -> None:
    async with wire(edge_port, "/ws/chat/golden") as connection:
        connection.send(bytes.fromhex(vector["data"]))
        close = Close.parse((await connection.frame(Opcode.CLOSE)).data)
        assert close.code == vector["code"]
        assert close.reason
        connection.send(Frame(Opcode.CLOSE, close.serialize()).serialize(mask=True))
        assert await connection.end() == b""


@on_the_module_s_loop
@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=lambda vector: vector["name"])
@pytest.mark.parametrize("in_pieces", [False, True], ids=["at once", "byte by byte"])
async def test_the_edge_understands_each_frame_that_is_accepted(
    edge_port: int, vector: dict[str, Any], in_pieces: bool
) -> None:
    data = bytes.fromhex(vector["data"])
    async with wire(edge_port, "/ws/chat/golden") as connection:
        for piece in (data[i : i + 1] for i in range(len(data))) if in_pieces else (data,):
            connection.send(piece)
            await connection.writer.drain()
        closed = False
        for kind, *fields in vector["messages"]:
            if kind == "ping":
                assert bytes((await connection.frame(Opcode.PONG)).data) == bytes.fromhex(fields[0])
            elif kind == "text":
                # The vectors' texts are no JSON; the greeting may come before the answer.
                while (said := json.loads(bytes((await connection.frame(Opcode.TEXT)).data)))["event_type"] != "error":
                    assert said["event_type"] == "connection"
                assert said["payload"]["code"] == "bad_message"
            elif kind in ("binary", "close"):
                closed = True
                close = Close.parse((await connection.frame(Opcode.CLOSE)).data)
                assert close.code == (1003 if kind == "binary" else fields[0])
        if not closed:
            connection.send(Frame(Opcode.PING, b"still here?").serialize(mask=True))
            assert bytes((await connection.frame(Opcode.PONG)).data) == b"still here?"


@pytest.mark.promise("P-ORIGIN-1")
@on_the_module_s_loop
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 101),
        ({"Origin": "http://localhost:3000"}, 101),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://evil.example", "Host": "evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://localhost:3000\r\nOrigin: http://localhost:3000"}, 400),
    ],
)
async def test_the_edge_refuses_strange_pages_before_the_upgrade(
    edge_port: int, headers: dict[str, str], status: int
) -> None:
    answered, _, writer = await handshake(edge_port, "/ws/events", headers)
    writer.transport.abort()
    assert answered == status
