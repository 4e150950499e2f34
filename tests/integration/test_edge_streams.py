"""Server-sent events: the same topics and the same objects as over WebSockets, with positions that resume."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from tests.support.deadlines import eventually
from tests.support.edge import RunningEdge, running_edge
from tests.support.event_source import event_source
from tests.support.flood import flood

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[RunningEdge]:
    async with running_edge(shared_nats.url, keepalive_s=1) as edge:
        yield edge


@pytest.mark.promise("P-SSE-1")
@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("chat/sse", "chat.sse.message"),
        ("agent/sse", "agent.sse.activity"),
        ("council", "council.sse.update"),
        ("events", "brain.sse.status"),
    ],
)
async def test_each_topic_is_there_as_a_stream(edge: RunningEdge, mesh: Mesh, path: str, subject: str) -> None:
    async with event_source(edge.port, f"/sse/{path}") as stream, edge.connect(f"/ws/{path}") as socket:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        hello = await stream.frame()
        assert (hello["event_type"], hello["payload"]["recovered"]) == ("connection", True)
        assert hello["last_event_id"] == ".".join(hello["payload"]["cursors"].values())
        await mesh.publish(subject, {"content": 1, "text": "a\nb\r\n\u2028"})
        (framed,) = await socket.events(1)
        (sent,) = await stream.events(1)
        assert sent.pop("last_event_id")
        assert sent == framed


@pytest.mark.promise("P-SSE-1")
async def test_a_browser_resumes_with_the_id_of_the_last_event(edge: RunningEdge, mesh: Mesh) -> None:
    """Two streams of the log, so the id must be complete: after a record it says where the signals are, too."""
    async with event_source(edge.port, "/sse/chat/back") as stream:
        await stream.frame()
        await mesh.publish("chat.back.delta", {"content": 0})
        await mesh.publish("chat.back.message", {"content": 1})
        last = (await stream.events(2))[-1]["last_event_id"]
    await mesh.publish("chat.back.delta", {"content": 2})
    await mesh.publish("chat.back.message", {"content": 3})
    async with event_source(edge.port, "/sse/chat/back", Last_Event_ID=last) as stream:
        replayed = await stream.events(2)
        assert [event["payload"]["content"] for event in replayed] == [2, 3]
        middle = replayed[0]["last_event_id"]
    async with event_source(edge.port, "/sse/chat/back", Last_Event_ID=middle) as stream:
        assert [event["payload"]["content"] for event in await stream.events(1)] == [3]
    async with event_source(edge.port, f"/sse/chat/back?since={last}") as stream:
        assert [event["payload"]["content"] for event in await stream.events(2)] == [2, 3]


async def test_a_reader_that_waits_gets_everything_later(edge: RunningEdge, mesh: Mesh) -> None:
    async with event_source(edge.port, "/sse/chat/slow") as stream:
        await stream.frame()
        await flood(mesh, "chat.slow.message", range(5_000), pad_bytes=2_000)
        assert [event["payload"]["content"] for event in await stream.events(5_000)] == list(range(5_000))


async def test_a_comment_keeps_proxies_awake(edge: RunningEdge, mesh: Mesh) -> None:
    async with event_source(edge.port, "/sse/chat/awake") as stream:
        await stream.frame()
        while stream.parser.comments < 2:
            stream.parser.feed(await stream._piece())


async def test_a_stream_whose_client_has_gone_is_forgotten(edge: RunningEdge, mesh: Mesh) -> None:
    manager = edge.edge.manager
    before = manager.count()
    async with event_source(edge.port, "/sse/chat/gone") as stream:
        await stream.frame()
        assert manager.count("chat_gone") == 1
    await eventually(lambda: manager.count() == before)


@pytest.mark.parametrize(
    ("path", "headers", "status", "says"),
    [
        ("/sse/chat/a%20b", {}, 400, "session_id"),
        ("/sse/chat/a?history=x", {}, 400, "history"),
        ("/sse/chat/a?types=council.update", {}, 400, "council.update"),
        ("/sse/chat/a", {"Last_Event_ID": "garbage"}, 400, "cursor"),
        ("/sse/chat/a", {"Origin": "https://evil.example"}, 403, "evil.example"),
    ],
)
async def test_what_is_refused(edge: RunningEdge, path: str, headers: dict[str, str], status: int, says: str) -> None:
    async with event_source(edge.port, path, **headers) as answer:
        assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
        assert says in (await answer.problem())["detail"]


async def test_a_page_of_the_edges_own_origin_sends_none(shared_nats: NatsServer, mesh: Mesh) -> None:
    """As browsers do, which name the origin of a stream only where it is another one."""
    async with running_edge(shared_nats.url, open_loopback=False) as edge:
        for headers, status in (
            ({}, 200),
            ({"Sec_Fetch_Site": "same-origin"}, 200),
            ({"Sec_Fetch_Site": "cross-site"}, 403),
            ({"Sec_Fetch_Site": "same-site"}, 403),
            ({"Origin": "http://other.example", "Sec_Fetch_Site": "same-origin"}, 403),
            ({"Origin": f"http://127.0.0.1:{edge.port}"}, 200),
        ):
            async with event_source(edge.port, "/sse/events", **headers) as stream:
                assert stream.status == status, headers


async def test_a_draining_edge_says_when_to_come_back_and_ends_its_streams(shared_nats: NatsServer, mesh: Mesh) -> None:
    async with running_edge(shared_nats.url, drain_s=0.2) as edge, event_source(edge.port, "/sse/events") as stream:
        await stream.frame()
        await edge.edge.drain()
        assert (await stream.frame())["event_type"] == "reconnect"
        assert stream.parser.retry_ms is not None
        await stream.ended()
