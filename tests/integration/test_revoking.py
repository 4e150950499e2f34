"""Revoked tokens: what they opened is closed everywhere, and they are refused from then on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.revocations import revoke
from mesh_api.settings import ApiSettings
from mesh_edge.door import Door
from tests.support import tokens
from tests.support.api import SESSIONS, Api, running_api
from tests.support.commands import mesh as mesh_command
from tests.support.deadlines import eventually, within
from tests.support.edge import RunningEdge, running_edge
from tests.support.event_source import event_source
from tests.support.plain_ws import end_of
from tests.support.tokens import KEY, bearer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("P-TOKEN-7")]

CHAT = ("chat.v1.>", "session.v1.>")


def token(sub: str, *, made_s: float = -10, lives_s: float = 3_600) -> str:
    return tokens.token(*CHAT, write=["chat.v1.message"], sub=sub, made_s=made_s, lives_s=lives_s)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edges(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[list[RunningEdge]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(running_edge(shared_nats.url, http=http, token_key=KEY, linger_s=0))
            for http in ("auto", Door)
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(shared_nats: NatsServer) -> AsyncIterator[Api]:
    settings = ApiSettings(nats_url=shared_nats.url, token_key=KEY)
    async with running_api(shared_nats.url, settings=settings) as running:
        yield running


async def status(api: Api, shown: str) -> int:
    return (await api.client.get(SESSIONS, headers=bearer(shown))).status_code


def to(edge: RunningEdge, shown: str, path: str = "/ws/chat/v1") -> Any:
    return connect(f"ws://127.0.0.1:{edge.port}{path}", additional_headers=bearer(shown), compression=None)


async def opened(stack: AsyncExitStack, edge: RunningEdge, shown: str, path: str = "/ws/chat/v1") -> ClientConnection:
    ws: ClientConnection = await stack.enter_async_context(to(edge, shown, path))
    async with within():
        await ws.recv()
    return ws


async def is_refused(edge: RunningEdge, shown: str) -> bool:
    async with to(edge, shown) as ws:
        try:
            await ws.recv()
        except ConnectionClosed as closed:
            return closed.rcvd is not None and closed.rcvd.code == 4401
        return False


async def is_open(ws: ClientConnection) -> bool:
    async with within():
        await (await ws.ping())
    return True


async def test_what_a_user_had_opened_is_closed_on_every_edge(
    edges: list[RunningEdge], api: Api, mesh: Mesh, shared_nats: NatsServer
) -> None:
    ada, bob = token("ada"), token("bob")
    async with AsyncExitStack() as stack:
        theirs = [await opened(stack, edge, ada, path) for edge in edges for path in ("/ws/chat/v1", "/ws")]
        others = [await opened(stack, edge, bob) for edge in edges]
        stream = await stack.enter_async_context(event_source(edges[0].port, "/sse/chat/v1", **bearer(ada)))
        assert await status(api, ada) == 200
        await revoke(mesh, user="ada")
        began = time.monotonic()
        assert [await end_of(ws) for ws in theirs] == [4401] * 4
        await stream.ended()
        await eventually(lambda: len(api.context.callers.revoked))
        assert time.monotonic() - began < 10  # 2 s on a machine that is not busy
        assert all([await is_open(ws) for ws in others])
        assert all([await is_refused(edge, ada) for edge in edges])
        assert (await status(api, ada), await status(api, bob)) == (401, 200)
        later = token("ada", made_s=10)
        assert not await is_refused(edges[0], later)
        assert await status(api, later) == 200
        await others[0].send(msgspec.json.encode({"type": "auth", "token": ada}).decode())
        assert await end_of(others[0]) == 4401
    async with running_api(shared_nats.url, settings=ApiSettings(nats_url=shared_nats.url, token_key=KEY)) as restarted:
        assert (await status(restarted, ada), await status(restarted, bob)) == (401, 200)


async def test_a_single_token_is_revoked_by_the_command(
    edges: list[RunningEdge], api: Api, shared_nats: NatsServer
) -> None:
    lost, kept = token("eve"), token("eve", lives_s=700)
    async with AsyncExitStack() as stack:
        first, second = await opened(stack, edges[0], lost), await opened(stack, edges[1], kept)
        await api.mesh.connection.flush()
        api.mesh.connection.publish("$KV.REVOKED.user.broken", b"{")  # is counted, and harms nobody
        done = await asyncio.to_thread(mesh_command, "revoke", "-", "--nats-url", shared_nats.url, stdin=f"{lost}\n")
        assert (done.returncode, done.stdout) == (0, "the token is refused\n"), done
        assert await end_of(first) == 4401
        assert await is_open(second)
        await eventually(lambda: api.context.revocations.malformed)

    async def is_known() -> bool:
        return await status(api, lost) == 401

    await eventually(is_known)
    assert await status(api, kept) == 200
    await eventually(lambda: is_refused(edges[1], lost))


async def test_a_user_is_revoked_by_the_command(edges: list[RunningEdge], shared_nats: NatsServer) -> None:
    async with AsyncExitStack() as stack:
        ws = await opened(stack, edges[1], token("o'hara@example.org"))
        done = await asyncio.to_thread(mesh_command, "revoke", "o'hara@example.org", "--nats-url", shared_nats.url)
        assert done.returncode == 0, done
        assert await end_of(ws) == 4401
