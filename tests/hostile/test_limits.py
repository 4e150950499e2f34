"""What is too much, too deep or too slow is refused, and those who behave are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from daena_mesh.embedded import NatsServer
from daena_mesh.origin import OriginSettings
from mesh_cli import http_heads
from mesh_cli.serve import front_door
from mesh_edge import closing, door
from tests.support.api import SESSIONS
from tests.support.deadlines import within
from tests.support.edge import provisioned_mesh, running_edge
from tests.support.running_mesh import RunningMesh
from tests.support.ws_client import masked

HALF_OPEN = 1_000
SHORT_S = 3.0
"""Instead of the ten seconds of the default."""
JSON = {"Content-Type": "application/json"}
CHAT = "/api/v1/daena/chat"
BODY = 64 * 1024

module_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared_mesh: RunningMesh) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=shared_mesh.url) as client:
        yield client


@pytest.fixture
def many_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 8_192), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_a_thousand_half_open_handshakes_are_closed_and_others_served_meanwhile(
    nats_server: NatsServer, many_files: None
) -> None:
    assert OriginSettings().handshake_within_s == door.HEAD_WITHIN_S == http_heads.HEAD_WITHIN_S == 10
    doors = front_door(SHORT_S)
    async with provisioned_mesh(nats_server.url), running_edge(nats_server.url, http=doors) as edge, within(50):
        opened = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(HALF_OPEN)]
        for _, writer in opened:
            writer.write(b"GET /ws/events HTTP/1.1\r\nHost: localhost\r\nUpgrade: webso")
        for _ in range(3):
            async with edge.connect("/ws/events") as healthy:
                assert await healthy.pong() == []
        for reader, _ in opened:
            with contextlib.suppress(ConnectionError):
                assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        for _, writer in opened:
            writer.close()
        assert not list(edge.edge.sockets())
        assert edge.edge.counts.refused["408", "slow"] == HALF_OPEN


@module_loop
@pytest.mark.parametrize(
    ("content", "headers", "statuses"),
    [
        (b'{"message": "\xff\xfe"}', JSON, {400}),
        (b'{"message": "\xed\xa0\x80"}', JSON, {400}),
        (b"[" * 60_000, JSON, {400, 422}),
        (b'{"message": "x", "metadata": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001, JSON, {400, 422}),
        (json.dumps({"message": "x" * (BODY + 1)}).encode(), JSON, {413, 422}),
        (b" " * 131_073, JSON, {413}),
        (b'{"message": "x"}', {"Content-Type": "text/plain"}, {415}),
        (b'{"message": "x"}', {}, {415}),
        (b"message=x", {"Content-Type": "application/x-www-form-urlencoded"}, {415}),
        (gzip.compress(b'{"message": "' + b"x" * 50_000_000 + b'"}'), {**JSON, "Content-Encoding": "gzip"}, {400}),
        (b'{"message": 1e999}', JSON, {400, 422}),
        (b'{"message": null}', JSON, {422}),
    ],
    ids=[
        *("invalid utf-8", "a surrogate", "deep", "deep metadata", "an event of 64 KiB + 1", "a large body", "text"),
        *("no type", "a form", "a compression bomb", "a huge number", "null"),
    ],
)
async def test_the_api_refuses_what_it_cannot_take(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str], statuses: set[int]
) -> None:
    answer = await client.post(CHAT, content=content, headers=headers)
    assert answer.status_code in statuses
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 1_000
    assert (await client.get(SESSIONS)).status_code == 200


@module_loop
@pytest.mark.parametrize("path", ["/ws/events", "/ws/events?unknown=1"], ids=["the lean door", "FastAPI's route"])
async def test_no_compression_is_agreed_on_so_no_message_can_grow(shared_mesh: RunningMesh, path: str) -> None:
    url = f"ws://127.0.0.1:{shared_mesh.port}{path}"
    async with connect(url, compression="deflate") as socket, within():
        assert "sec-websocket-extensions" not in socket.response.headers  # type: ignore[union-attr]
        # A frame that claims to be compressed breaks the protocol.
        await socket.recv()
        socket.transport.write(b"\xc1\x80\0\0\0\0")
        await socket.wait_closed()
        assert socket.protocol.close_rcvd is not None
        assert socket.protocol.close_rcvd.code == closing.PROTOCOL_ERROR.code


@module_loop
@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        '{"type":' * 5_000,
        '{"type": "send", "payload": ' + '{"a":' * 8_000 + "1" + "}" * 8_001,
        "\0" * 60_000,
    ],
    ids=["arrays", "objects", "a payload", "nul"],
)
async def test_a_socket_is_told_of_what_is_too_deep_and_lives(shared_mesh: RunningMesh, text: str) -> None:
    async with connect(f"ws://127.0.0.1:{shared_mesh.port}/ws/chat/deep") as socket, within():
        await socket.send(text)
        while '"event_type":"error"' not in str(await socket.recv()):
            pass
        await socket.send('{"type":"ping"}')
        while '"event_type":"pong"' not in str(await socket.recv()):
            pass


@module_loop
@pytest.mark.parametrize("piece", [b"x", b""], ids=["a byte each", "nothing each"])
async def test_a_message_in_countless_pieces_is_cut_off_and_others_are_served(
    shared_mesh: RunningMesh, piece: bytes
) -> None:
    url = f"ws://127.0.0.1:{shared_mesh.port}/ws/events"
    rest = masked(0x00, piece) * 1_000
    async with connect(url) as flooding, connect(url) as healthy, within(30):
        flooding.transport.write(masked(0x01, b"x"))
        for _ in range(200):
            flooding.transport.write(rest)
            await asyncio.sleep(0)
        await healthy.send('{"type":"ping"}')
        while '"event_type":"pong"' not in str(await healthy.recv()):
            pass
        if piece:
            await flooding.wait_closed()
            assert flooding.protocol.close_rcvd is not None
            assert flooding.protocol.close_rcvd.code == closing.TOO_BIG.code


@asynccontextmanager
async def crowded(folder: Path, **variables: str) -> AsyncIterator[str]:
    async with RunningMesh(folder, MESH_SOCKETS_PER_ADDRESS="1", **variables) as mesh:
        yield f"ws://127.0.0.1:{mesh.port}/ws/events"


async def is_crowded(url: str, headers: dict[str, str]) -> bool:
    try:
        async with connect(url, additional_headers=headers):
            return False
    except InvalidStatus as refused:
        return refused.response.status_code == 429


@pytest.mark.promise("P-CROWD-1")
@pytest.mark.parametrize(
    ("header", "value", "other", "variables"),
    [
        ("X-Forwarded-For", "192.0.2.{}", "Forwarded", {}),
        ("Forwarded", "for=192.0.2.{};proto=http", "X-Forwarded-For", {"MESH_PROXY_HEADER": "forwarded"}),
    ],
    ids=["x-forwarded-for", "forwarded"],
)
async def test_who_is_no_trusted_proxy_cannot_say_that_it_is_somebody_else(
    tmp_path: Path, header: str, value: str, other: str, variables: dict[str, str]
) -> None:
    one, two = {header: value.format(1)}, {header: value.format(2)}
    async with (
        crowded(tmp_path / "a", **variables) as url,
        within(30),
        connect(url, additional_headers=one),
        connect(url, additional_headers=two),
    ):
        assert await is_crowded(url, {**one, other: "192.0.2.3" if other[0] == "X" else "for=192.0.2.3"})
        # The same through FastAPI's route, which other heads than plain ones take.
        assert await is_crowded(url, {**one, "Content-Length": "0"})
    async with (
        crowded(tmp_path / "b", MESH_TRUSTED_PROXIES="198.51.100.0/24", **variables) as url,
        within(30),
        connect(url, additional_headers=one),
        asyncio.TaskGroup() as group,
    ):
        refused = group.create_task(is_crowded(url, two))
    assert refused.result()


@module_loop
@pytest.mark.parametrize(
    ("said", "told"),
    [
        (masked(0x81, b'{"type":"ping"}'), b'"event_type":"pong"'),
        (masked(0x81, b"\xff\xfe"), closing.INVALID_DATA.code.to_bytes(2, "big")),
        (b"\xff\xff\xff\xff", closing.PROTOCOL_ERROR.code.to_bytes(2, "big")),
        (masked(0x88, b""), b"\x88\x00"),
    ],
    ids=["a message", "invalid utf-8", "no frame", "a close"],
)
async def test_what_comes_in_one_piece_with_an_odd_handshake_is_read_once_it_is_in(
    shared_mesh: RunningMesh, said: bytes, told: bytes
) -> None:
    lines = len(shared_mesh.log)
    reader, writer = await asyncio.open_connection("127.0.0.1", shared_mesh.port)
    head = (
        "GET /ws/chat/early?odd=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    try:
        writer.write(head.encode() + said)
        answer = b""
        async with within():
            while told not in answer:
                data = await reader.read(65_536)
                assert data, answer
                answer += data
        assert answer.startswith(b"HTTP/1.1 101 ")
    finally:
        writer.close()
    assert shared_mesh.log[lines:] == ""
