"""A member is removed while an edge cannot hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.provisioning import provision
from daena_mesh.sessions import SessionStore
from tests.integration.test_edge_members import Many, World, ended, said, subscribe
from tests.support.deadlines import eventually, within
from tests.support.doors import both_doors
from tests.support.edge import provisioned_mesh
from tests.support.proxy import NatsProxy
from tests.support.tokens import KEY
from tests.support.ws_client import Client, Ledger

pytestmark = pytest.mark.promise("P-MEMBERS-3")


@asynccontextmanager
async def cut_off_world(server: NatsServer, **settings: Any) -> AsyncIterator[tuple[World, NatsProxy]]:
    """Give two edges, which hear of NATS through a proxy; tests do not."""
    async with (
        NatsProxy.running(server.port) as proxy,
        provisioned_mesh(server.url) as mesh,
        both_doors(proxy.url, token_key=KEY, **settings) as edges,
        within(60),
    ):
        yield World(mesh, edges, SessionStore(mesh)), proxy


async def signal(mesh: Mesh, session_id: str, index: int) -> None:
    payload = {"message_id": "m", "sender": "scout", "index": index, "text": "not for bob"}
    await mesh.publish(f"chat.{session_id}.delta", payload)


async def until(client: Client, is_it: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Give what comes up to some frame."""
    frames = [await client.frame()]
    while not is_it(frames[-1]):
        frames.append(await client.frame())
    return frames


@pytest.mark.parametrize("wake", ["cut", "silence"])
async def test_who_is_removed_behind_an_edge_that_is_cut_off_is_shown_nothing_of_after(
    nats_server: NatsServer, wake: str
) -> None:
    async with cut_off_world(nats_server) as (world, proxy), AsyncExitStack() as stack:
        session_id = await world.begun("bob", "eve")
        path, ledgers = f"/ws/chat/{session_id}", [Ledger(), Ledger()]
        bobs = [await stack.enter_async_context(world.connect(edge, path, "bob")) for edge in (0, 1)]
        adas = [
            await stack.enter_async_context(world.connect(edge, path, "ada", ledger=ledger))
            for edge, ledger in enumerate(ledgers)
        ]
        many = await stack.enter_async_context(world.connect(0, "/ws", "bob", ledger=Many()))
        await subscribe(many, session_id)
        narrow = await stack.enter_async_context(world.connect(1, f"{path}?types=chat.message,chat.delta", "bob"))
        await world.say(session_id, "before")
        for client in (*bobs, *adas, many, narrow):
            assert (await client.event())["payload"]["content"] == "before"
        proxy.freeze()
        await world.say(session_id, "still theirs")
        await world.sessions.share(session_id, remove=["bob"])
        for index in range(20):
            await signal(world.mesh, session_id, index)
        await world.say(session_id, "after")
        if wake == "cut":
            proxy.cut()  # else the edge finds it out by itself
        for client in (*bobs, narrow):
            shown = await ended(client)
            assert set(said(shown)) <= {"still theirs"}
            assert not [frame for frame in shown if frame["event_type"] == "chat.delta"]
        shown = await until(many, lambda frame: frame["event_type"] == "error")
        assert shown[-1]["payload"]["code"] == "forbidden"
        assert not [frame for frame in shown if frame["event_type"] in {"chat.delta", "chat.message"}][1:]
        assert await many.pong() == []
        for client, ledger in zip(adas, ledgers, strict=True):
            while len(ledger.events) < 24:
                await client.event()
            assert ledger.contents() == ["before", "still theirs", "after"]
            await world.say(session_id, "live")
            assert "live" in said([await client.event()])


async def test_what_is_no_event_of_a_session_keeps_nobody_out_and_nobody_in(nats_server: NatsServer) -> None:
    async with cut_off_world(nats_server) as (world, proxy), AsyncExitStack() as stack:
        session_id = await world.begun("bob")
        path, name = f"/ws/chat/{session_id}", session_id.encode()
        bob = await stack.enter_async_context(world.connect(0, path, "bob"))
        reader, writer = await asyncio.open_connection("127.0.0.1", nats_server.port)
        await reader.readline()
        writer.write(b'CONNECT {"verbose":false}\r\n')
        for subject in (b"updated.\xff", b"\xff", b"updated.a.b.c", b"updated", b"deleted", b"Updated"):
            for body in (b"{}", b"\xff", b'{"session":{"members":"bob"}}', b"[" * 10_000):
                writer.write(b"PUB session.%b.%b %d\r\n%b\r\n" % (name, subject, len(body), body))
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"PONG\r\n"
        writer.close()
        await world.say(session_id, "live")
        while said([await bob.event()]) != ["live"]:
            pass
        proxy.cut()  # once more, from the log
        await world.say(session_id, "healed")
        while said([await bob.event()]) != ["healed"]:
            pass

        async def comes_in() -> bool:
            """A client comes again where an edge does not know for a moment who the members are."""
            try:
                async with world.connect(1, f"{path}?history=100", "bob") as another:
                    return bool((await another.event())["event_type"] == "session.created")
            except InvalidStatus as refused:
                if refused.response.status_code != 503:
                    raise
                return False

        await eventually(comes_in, within_s=20)
        await world.sessions.share(session_id, remove=["bob"])
        assert said(await ended(bob)) == []


async def test_a_removal_that_was_lost_on_its_way_is_found_by_the_audit(nats_server: NatsServer) -> None:
    async with cut_off_world(nats_server, audit_s=1) as (world, proxy), AsyncExitStack() as stack:
        session_id = await world.begun("bob")
        path = f"/ws/chat/{session_id}"
        bobs = [await stack.enter_async_context(world.connect(edge, path, "bob")) for edge in (0, 1)]
        proxy.loses = lambda subject: subject == b"live.session.%b.updated" % session_id.encode()
        await world.sessions.share(session_id, remove=["bob"])
        for client in bobs:
            assert said(await ended(client)) == []
        assert proxy.lost == 2


async def test_after_a_gap_everybody_is_asked_for_anew(nats_server: NatsServer) -> None:
    async with cut_off_world(nats_server) as (world, _proxy), AsyncExitStack() as stack:
        session_id = await world.begun("bob")
        path = f"/ws/chat/{session_id}"
        bob = await stack.enter_async_context(world.connect(0, path, "bob"))
        many = await stack.enter_async_context(world.connect(1, "/ws", "bob", ledger=Many()))
        await subscribe(many, session_id)
        await world.mesh.connection.request("$JS.API.STREAM.DELETE.RECORDS", b"", timeout_s=5)
        await provision(world.mesh.connection, world.mesh.layout, world.mesh.settings)
        code, _ = await bob.closing()
        assert code == 1012
        shown = await until(many, lambda frame: frame["event_type"] == "error")
        assert (shown[-1]["payload"]["code"], shown[-1]["payload"]["retry_after_ms"]) == ("unavailable", 1_000)

        async def is_forbidden() -> bool:  # nobody knows of the session any more
            return bool((await subscribe(many, session_id))["payload"]["code"] == "forbidden")

        await eventually(is_forbidden)
