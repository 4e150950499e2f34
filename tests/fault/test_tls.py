"""A connection with TLS: to a server that says who it is, and to one that freezes."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from daena_mesh.connection import Connection
from mesh_cli.cluster.certificates import ensure_certificate
from mesh_cli.cluster.running import HOST
from tests.support.cluster import lone_node
from tests.support.deadlines import eventually, within

pytestmark = [pytest.mark.timeout(120)]


async def test_who_freezes_is_left_for_another_soon(tmp_path: Path) -> None:
    certificate = ensure_certificate(tmp_path / "tls", [HOST])
    async with within(100), AsyncExitStack() as stack:
        frozen, other = [
            await stack.enter_async_context(await lone_node(tmp_path, name, certificate)) for name in ("n1", "n2")
        ]
        authority = str(certificate.authority)
        connection = Connection([frozen.url, other.url], name="test", authority=authority)
        stack.push_async_callback(connection.close)
        connection.start()
        await connection.wait_ready(20)
        got = asyncio.Event()
        connection.subscribe("greetings", lambda *_message: got.set())
        os.kill(frozen.pid, signal.SIGSTOP)
        stack.callback(os.kill, frozen.pid, signal.SIGCONT)
        # Saying farewell by TLS takes half a minute with somebody who does not answer.
        await eventually(lambda: connection.connects == 2 and connection.state == "connected", within_s=20)
        connection.publish("greetings", b"")
        await asyncio.wait_for(got.wait(), 10)


async def test_a_server_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    certificate, another = (ensure_certificate(tmp_path / name, [HOST]) for name in ("tls", "another"))
    async with within(60), await lone_node(tmp_path, "n1", certificate) as ours:
        connection = Connection([ours.url], name="test", authority=str(another.authority))
        connection.start()
        await connection.wait_tried(20)
        await eventually(lambda: "certificate verify failed" in str(connection.unavailable()))
        assert not connection.is_connected
        await connection.close()
