"""A mesh behind a real nginx, and a real Caddy: one origin for everything, also when one of two edges is gone."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import expect
from websockets.exceptions import ConnectionClosed

from daena_mesh.embedded import NatsServer
from tests.support.caddy import behind_caddy
from tests.support.deadlines import eventually, within
from tests.support.front import BehindProxy
from tests.support.nginx import behind_nginx
from tests.support.own_page import CHAT, page_with
from tests.support.real_parties import caddy_path, nginx_path
from tests.support.ws_client import Ledger, RawClient

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

MESSAGES = 40


PROXIES = {"nginx": (nginx_path, behind_nginx), "caddy": (caddy_path, behind_caddy)}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PROXIES)
async def mesh(
    request: pytest.FixtureRequest, shared_nats: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BehindProxy]:
    path, behind = PROXIES[request.param]
    async with behind(path(), shared_nats.url, tmp_path_factory.mktemp("mesh")) as mesh:
        yield mesh


async def say(http: httpx.AsyncClient, session_id: str, text: str) -> None:
    body: dict[str, Any] = {"message": text, "session_id": session_id, "sender": "ada"}
    (await http.post("/api/v1/daena/chat", json=body)).raise_for_status()


async def test_the_page_its_files_and_the_api_have_one_origin(mesh: BehindProxy) -> None:
    async with httpx.AsyncClient(base_url=mesh.url) as http:
        for path, kind in [("/", "text/html"), ("/healthz", "application/json"), ("/docs", "text/html")]:
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
        assert (await http.get("/ws-of-nobody")).status_code == 404


async def test_what_is_said_reaches_sockets_at_both_edges(mesh: BehindProxy) -> None:
    async with AsyncExitStack() as stack, httpx.AsyncClient(base_url=mesh.url) as http:
        clients = [await stack.enter_async_context(mesh.connect("/ws/chat/both")) for _ in range(4)]
        assert {client.hello["payload"]["edge"] for client in clients} == mesh.edges.keys()
        await say(http, "both", "to all of you")
        for client in clients:
            assert (await client.next("chat.message"))["payload"]["content"] == "to all of you"


async def test_edges_judge_the_origin_that_browsers_see(mesh: BehindProxy) -> None:
    """Its port too: these edges take nobody else's pages, as behind a name of the network."""
    head = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    head["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    async with mesh.connect("/ws/events", origin=mesh.url), httpx.AsyncClient(base_url=mesh.url) as http:
        for origin in ("http://evil.example", "http://127.0.0.1", mesh.edges["edge-0"].url):
            assert (await http.get("/ws/events", headers={**head, "Origin": origin})).status_code == 403
        assert (await http.get("/ws/chat/not%20an%20id", headers={**head, "Origin": mesh.url})).status_code == 400


async def events_of(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    """Server-sent events by their fields, without comments."""
    event: dict[str, str] = {}
    async for line in lines:
        if not line:
            if event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            event[name] = value.removeprefix(" ")


async def take(count: int, events: AsyncIterator[dict[str, str]]) -> AsyncIterator[dict[str, str]]:
    """The first of them."""
    for _ in range(count):
        yield await anext(events)


async def test_streams_of_events_come_through_at_once_and_resume(mesh: BehindProxy) -> None:
    """Through the buffers that nginx has by default, which hold 4 KiB and more."""
    head = {"Origin": mesh.url}
    async with within(30), httpx.AsyncClient(base_url=mesh.url, timeout=20) as http:
        async with http.stream("GET", "/sse/chat/streamed", headers=head) as answer:
            assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
            events = events_of(answer.aiter_lines())
            assert json.loads((await anext(events))["data"])["event_type"] == "connection"
            for text in ("first", "second"):
                await say(http, "streamed", text)
                while json.loads((event := await anext(events))["data"])["event_type"] != "chat.message":
                    pass
                assert json.loads(event["data"])["payload"]["content"] == text
                if text == "first":
                    last = event["id"]
        async with http.stream("GET", "/sse/chat/streamed", headers={**head, "Last-Event-ID": last}) as answer:
            said = [
                data["payload"]["content"]
                async for event in take(2, events_of(answer.aiter_lines()))
                if (data := json.loads(event["data"]))["event_type"] == "chat.message"
            ]
            assert said == ["second"]


@pytest.mark.browser
async def test_what_people_paste_works_as_it_is(chromium: Path, mesh: BehindProxy) -> None:
    async with page_with(CHAT, chromium, mesh.url) as page, httpx.AsyncClient(base_url=mesh.url) as http:
        await say(http, "test_session", "Hello!")
        await say(http, "test_session", "Bye!")
        await expect(page.locator("#log li")).to_have_text(["ada: Hello!", "ada: Bye!"])


async def test_a_client_that_reads_slowly_gets_all_and_keeps_nobody_waiting(mesh: BehindProxy) -> None:
    text = "x" * 20_000
    slow = await RawClient.connect(mesh.port, "/ws/chat/slow", origin=mesh.url)
    async with within(60), mesh.connect("/ws/chat/slow") as quick, httpx.AsyncClient(base_url=mesh.url) as http:
        for number in range(100):
            await say(http, "slow", f"{number} {text}")
            while (frame := await quick.event())["event_type"] != "chat.message":
                pass
            assert frame["payload"]["content"].startswith(f"{number} ")
        numbers: list[int] = []
        while len(numbers) < 100:
            said = [frame for frame in await slow.frames() if frame["event_type"] == "chat.message"]
            numbers += [int(frame["payload"]["content"].split()[0]) for frame in said]
    slow.close()
    assert numbers == list(range(100))


async def test_an_edge_knows_the_address_of_who_comes_and_believes_no_other(mesh: BehindProxy) -> None:
    """The client comes from 127.0.0.2, which is no proxy that the edges trust, and says that it is somebody else."""
    forged = {"X-Forwarded-For": "203.0.113.9"}
    async with mesh.connect("/ws/chat/from", local_addr=("127.0.0.2", 0), additional_headers=forged) as client:
        edge = mesh.edges[client.hello["payload"]["edge"]]
        async with httpx.AsyncClient(base_url=edge.url) as http:
            told = (
                await http.get("/edge/connections", params={"connection_id": "chat_from"}, headers={"Origin": edge.url})
            ).json()
    assert [connection["address"] for connection in told["connections"]] == ["127.0.0.2"]


async def follow(mesh: BehindProxy, ledger: Ledger, served: list[str]) -> None:
    """Read all that is said, coming back through nginx whenever the connection is gone."""
    while len(ledger.contents()) < MESSAGES:
        try:
            async with mesh.connect("/ws/chat/lasting", ledger=ledger) as client:
                served.append(client.hello["payload"]["edge"])
                while len(ledger.contents()) < MESSAGES:
                    await client.frame()
        except (ConnectionClosed, OSError):
            continue


@pytest.mark.promise("P-RESUME-2")
async def test_clients_of_an_edge_that_was_killed_go_on_at_the_other_one(mesh: BehindProxy) -> None:
    ledgers, served = [Ledger() for _ in range(4)], [[""] for _ in range(4)]
    async with within(60), httpx.AsyncClient(base_url=mesh.url) as http:
        following = [
            asyncio.create_task(follow(mesh, ledger, edges)) for ledger, edges in zip(ledgers, served, strict=True)
        ]
        await eventually(lambda: all(ledger.newest for ledger in ledgers))
        for number in range(MESSAGES):
            await say(http, "lasting", str(number))
            if number == MESSAGES // 2:
                await mesh.edges["edge-0"].end(signal.SIGKILL)
        await asyncio.gather(*following)
    assert [ledger.contents() for ledger in ledgers] == [[str(number) for number in range(MESSAGES)]] * 4
    assert {edges[-1] for edges in served} == {"edge-1"}
    assert any("edge-0" in edges for edges in served)
    async with mesh.connect("/ws/chat/lasting") as late:  # and whoever comes goes there at once
        assert late.hello["payload"]["edge"] == "edge-1"
