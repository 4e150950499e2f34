from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from daena_mesh.connection import Connection, header_block
from daena_mesh.errors import MeshUnavailable
from daena_mesh.tap import TapTransport
from tests.support.deadlines import within

NEWER = "the tap stands on the insides of nats-py; look at daena_mesh/tap.py before another version is allowed"


def test_nats_py_is_the_version_whose_insides_were_read() -> None:
    assert importlib.metadata.version("nats-py").split(".")[:2] == ["2", "16"], NEWER


def test_nats_py_has_what_the_tap_stands_on() -> None:
    client = Client()
    assert client._transport is None, NEWER
    assert client._server_info == {}, NEWER
    assert "if not self._transport:" in inspect.getsource(Client._connect_to_server), NEWER
    transport = TcpTransport()  # type: ignore[no-untyped-call]
    for name in ("_io_reader", "_io_writer", "_bare_io_reader", "_bare_io_writer"):
        assert getattr(transport, name) is None, NEWER
    for method in ("connect", "connect_tls"):
        theirs, ours = (inspect.signature(getattr(kind, method)) for kind in (TcpTransport, TapTransport))
        assert list(theirs.parameters) == list(ours.parameters), NEWER
    assert TapTransport({}, {}, lambda: None)


def test_headers_are_what_nats_takes() -> None:
    assert header_block({"Nats-Msg-Id": "1", "A": "ä"}) == "NATS/1.0\r\nNats-Msg-Id: 1\r\nA: ä\r\n\r\n".encode()
    assert header_block({}) == b"NATS/1.0\r\n\r\n"


@pytest.mark.parametrize("char", ["\r", "\n", "\0"])
def test_headers_that_would_forge_others_are_refused(char: str) -> None:
    for headers in ({"A": f"x{char}B: y"}, {f"A{char}B": "y"}):
        with pytest.raises(ValueError, match="line break or NUL"):
            header_block(headers)


async def test_without_a_connection_whoever_asks_is_told_at_once_and_no_secret_is() -> None:
    connection = Connection(["nats://user:secret@127.0.0.1:1", "nats://token@127.0.0.1:2"], name="test")
    calls: list[Any] = [
        lambda: connection.publish("a", b""),
        lambda: connection.ask("a", b"", lambda _reply: None),
        lambda: connection.client,
    ]
    for call in calls:
        with pytest.raises(MeshUnavailable, match=r"127\.0\.0\.1:1, nats://127\.0\.0\.1:2") as told:
            call()
        assert "secret" not in str(told.value)
        assert "token" not in str(told.value)
    with pytest.raises(MeshUnavailable):
        await connection.wait_ready(0.01)


async def test_who_waits_is_told_of_the_end_and_nothing_is_left() -> None:
    connection = Connection(["nats://127.0.0.1:1"], name="test")
    connection.start()
    async with within(5):
        await connection.wait_tried(5)
        assert connection.state == "degraded"
        waiting = asyncio.create_task(connection.wait_ready(60))
        states: list[str] = []
        connection.watch(states.append)
        await connection.close()
        await connection.close()
        with pytest.raises(MeshUnavailable, match="closed"):
            await waiting
    assert states == ["closed"]
    assert connection.is_closed
    assert asyncio.all_tasks() == {asyncio.current_task()}
