"""The two doors of an edge, FastAPI's route and the lean one: the same answers, and nothing left over."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi import Depends, FastAPI, WebSocketException
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from mesh_edge import door, websocket_router
from mesh_edge.credentials import Knock
from mesh_edge.door import Door
from mesh_edge.gate import Gate
from mesh_edge.turnstile import Turnstile
from tests.support.deadlines import eventually, within
from tests.support.doors import Pair, both_doors
from tests.support.edge import RunningEdge, running_edge
from tests.support.proxy import NatsProxy
from tests.support.tokens import KEY, bearer, token
from tests.support.ws_client import RawClient, handshake, masked

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHASES = (Phase.explicit, Phase.generate)
DOORS = [pytest.param("auto", id="route"), pytest.param(Door, id="lean")]


S1 = token("chat.s1.>", "session.s1.>")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_pair(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[Pair]:
    async with both_doors(shared_nats.url, edge_id="one") as both:
        yield both


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict_pair(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[Pair]:
    options = {"token_key": KEY, "token_in_query": True, "origins": "https://app.example", "auth_within_s": 0.02}
    async with both_doors(shared_nats.url, edge_id="one", **options) as both:
        yield both


# -- equivalence ------------------------------------------------------------------------------------------------------

PLAIN = {
    "host": "Host: localhost",
    "upgrade": "Upgrade: websocket",
    "connection": "Connection: Upgrade",
    "version": "Sec-WebSocket-Version: 13",
    "key": "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "origin": "Origin: http://localhost",
}
EXPIRED = token(">", lives_s=-1)
STRANGE = token(">", key="the key of somebody else, 32 bytes")
NAMED = (
    *("who=Ada+Lovelace", "who=%C3%89va&history=2", "who=%FF", "who=", "who=a&who=b", "who=" + "a" * 65, "who=%"),
    *("w%68o=ada%26x", "who=%0A", "who=+ada"),
)
TARGETS = (
    *("/ws/chat/s1", "/ws/chat/s1", "/ws/events", "/ws/council", "/ws/agent/a1", "/ws/chat/s1?since=Rabcdef-1"),
    *("/ws/chat/s1?history=5", "/ws/chat/s1?history=x", "/ws/chat/s1?types=chat.message,chat.delta&history=1"),
    *("/ws/chat/s1?types=agent.status", "/ws/chat/s1?who=ada", "/ws/chat/s1?who=%0A", "/ws", "/ws?since=x"),
    *("/ws?who=ada", "/ws?who=%0A", "/wsx", "/ws?history=x", "/ws", "/ws?types=agent.status"),
    *(f"/ws/chat/s1?{named}" for named in NAMED),
    *("/ws/chat/s1?since=", "/ws/chat/s1?since=nonsense", "/ws/chat/s1?since=Rabcdef-1&since=Rabcdef-2"),
    *("/ws/chat/s1?x=1", "/ws/chat/s1?since=%52abcdef-1", "/ws/chat/%731", "/ws/chat/", "/ws/chat", "/ws/chat/a/b"),
    *("/ws/chat/*", "/ws/chat/a.b", "/ws/chat//s1", "/ws//chat/s1", "/ws/events/", "/ws/agent/", "/ws/other/x"),
    *("/ws/council/x", "/ws/", "/ws/chat/" + "a" * 64, "/ws/chat/" + "a" * 65, f"/ws/chat/s1?token={S1}"),
    *(f"/ws/chat/s1?token={S1}&since=Rabcdef-1", "/healthz", "/nothing/here", "/WS/chat/s1", "/ws/chat/s1#x"),
)
LINES = {
    "host": ("Host: 127.0.0.1", "Host: evil.example", "Host:", "Host: localhost:80", None),
    "origin": (
        *(
            "Origin: null",
            "Origin: http://evil.example",
            "Origin: http://localhost:5173",
            "Origin: https://app.example",
        ),
        *("Origin: http://localhost:80", "ORIGIN:http://localhost", "Origin: ", None),
    ),
    "upgrade": ("Upgrade: WebSocket", "upgrade:websocket", "Upgrade: h2c", "Upgrade: websocket, h2c", None),
    "connection": ("Connection: keep-alive, Upgrade", "Connection: upgrade", "Connection: close", None),
    "version": ("Sec-WebSocket-Version: 8", "Sec-WebSocket-Version: 13 ", None),
    "key": ("Sec-WebSocket-Key: short", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB==", None),
}
MORE = (
    *("Sec-WebSocket-Protocol: mesh.v1", "Sec-WebSocket-Protocol: other", "Sec-WebSocket-Protocol: mesh.v1,other"),
    *(f"Sec-WebSocket-Protocol: mesh.v1, bearer.{S1}", f"Sec-WebSocket-Protocol: bearer.{S1}"),
    *(
        f"Sec-WebSocket-Protocol: mesh.v1, bearer.{EXPIRED}",
        "Sec-WebSocket-Protocol: bearer.",
        "Sec-WebSocket-Protocol:",
    ),
    *("Sec-WebSocket-Protocol: a,,b", "Sec-WebSocket-Protocol: mesh.v1\r\nSec-WebSocket-Protocol: bearer." + S1),
    *(f"Authorization: Bearer {S1}", f"authorization: bearer {EXPIRED}", f"Authorization: Bearer {STRANGE}"),
    *(f"Cookie: a=b; mesh_token={S1}", f"Cookie: mesh_token={EXPIRED}", "Cookie: mesh_token", "User-Agent: somebody"),
    *("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", "Sec-WebSocket-Extensions: ;;"),
    *("X-Forwarded-For: 10.0.0.1", "Content-Length: 0", "X: \xe9"),
    *("Host: localhost", "Expect: 100-continue", "X : y", "X", " folded", "X: \x01", "X: a\tb", "X: " + "x" * 9_000),
    "Origin: http://localhost",
)


@st.composite
def heads(draw: st.DrawFn) -> str:
    """Draw a handshake that is plain but for one or two things, as others are."""
    lines = dict[str, str | None](PLAIN)
    for name in draw(st.lists(st.sampled_from(sorted(LINES)), max_size=1)):
        lines[name] = draw(st.sampled_from(LINES[name]))
    more = draw(st.lists(st.sampled_from(MORE), max_size=2, unique=True))
    method = draw(st.sampled_from(["GET"] * 9 + ["POST"]))
    version = draw(st.sampled_from(["HTTP/1.1"] * 9 + ["HTTP/1.0"]))
    first = f"{method} {draw(st.sampled_from(TARGETS))} {version}"
    return "\r\n".join([first, *filter(None, lines.values()), *more]) + "\r\n\r\n"


def plain(*more: str, target: str = "/ws/chat/s1") -> str:
    return "\r\n".join([f"GET {target} HTTP/1.1", *PLAIN.values(), *more]) + "\r\n\r\n"


async def answer(edge: RunningEdge, head: bytes, *later: bytes) -> tuple[Any, ...]:
    """Give all of an answer that does not depend on the moment: status, headers, body, and what is told first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    try:
        writer.write(head)
        for piece in later:
            await writer.drain()
            writer.write(piece)
        async with within():
            first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            headers.pop("date", None)
            if " 101 " not in first:
                size = int(headers.get("content-length", "0"))
                return first, headers, await reader.readexactly(size)
            while (code := (await reader.readexactly(1))[0]) == 0x89:  # an edge pings whenever it is time to
                await reader.readexactly(1)
            (size,) = await reader.readexactly(1)
            if size == 126:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
            payload = await reader.readexactly(size)
            if code == 0x81:
                return first, headers, payload.partition(b'"socket_id"')[0].partition(b',"timestamp"')[0]
            return first, headers, code, payload
    except (asyncio.IncompleteReadError, ConnectionError):
        return ("cut off",)
    finally:
        writer.transport.abort()


async def alike(both: Pair, head: str) -> tuple[Any, ...]:
    """Ask both doors; AssertionError where they differ."""
    data = head.encode("latin-1")
    route, lean = await asyncio.gather(answer(both.route, data), answer(both.lean, data))
    assert lean == route, head
    return lean


@pytest.mark.promise("P-DOORS-1")
@settings(max_examples=60, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=heads())
@example(head=plain("Sec-WebSocket-Protocol: mesh.v1, bearer." + S1))
@example(head=plain("Authorization: Bearer " + EXPIRED))
async def test_both_doors_answer_alike_on_an_open_edge(open_pair: Pair, head: str) -> None:
    await alike(open_pair, head)


@pytest.mark.promise("P-DOORS-1")
@pytest.mark.parametrize("named", NAMED)
async def test_both_doors_read_names_alike(open_pair: Pair, named: str) -> None:
    for path in ("/ws/chat/s1", "/ws"):
        await alike(open_pair, plain(target=f"{path}?{named}"))


@pytest.mark.promise("P-DOORS-1")
@pytest.mark.parametrize("shown", [S1, EXPIRED, STRANGE, ""])
async def test_both_doors_judge_alike_who_will_name_their_topics(strict_pair: Pair, shown: str) -> None:
    more = [f"Authorization: Bearer {shown}"] * bool(shown)
    for target in ("/ws", "/ws?since=x", "/ws?x=1", "/ws/"):
        await alike(strict_pair, plain(*more, target=target))


@pytest.mark.promise("P-DOORS-1")
@settings(max_examples=60, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=heads())
@example(head=plain("Sec-WebSocket-Protocol: mesh.v1, bearer." + S1))
@example(head=plain("Sec-WebSocket-Protocol: bearer." + S1, target="/ws/events"))
@example(head=plain())
async def test_both_doors_answer_alike_where_tokens_are_asked_for(strict_pair: Pair, head: str) -> None:
    await alike(strict_pair, head)


# -- the lean door is the one that answers ----------------------------------------------------------------------------


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note what the lean door answers by itself."""
    noted = list[Any]()
    answer = Door._answer

    def note(self: Door, edge: Any, request: Any) -> None:
        noted.append("many" if request.follow is None else request.follow.name.name)
        answer(self, edge, request)

    monkeypatch.setattr(Door, "_answer", note)
    return noted


async def test_plain_handshakes_do_not_reach_fastapi(open_pair: Pair, answered: list[Any]) -> None:
    for path in ("/ws/events", "/ws/council", "/ws/chat/s1", "/ws/agent/a1", "/ws"):
        async with open_pair.lean.connect(path) as client:
            assert client.hello["payload"]["status"] == "connected"
            await client.pong()
    assert answered == ["events", "council", "chat_s1", "agent_a1", "many"]
    assert (await open_pair.lean.refusal("/ws/chat/s*"))[0] == 400
    assert len(answered) == 5


async def test_who_gives_a_name_does_not_reach_fastapi_either(open_pair: Pair, answered: list[Any]) -> None:
    async with open_pair.lean.connect("/ws/chat/s1?who=%C3%89va+A"):
        assert [link.visitor.who for link in open_pair.lean.edge.sockets()] == ["Éva A"]
    assert answered == ["chat_s1"]


async def test_a_handshake_may_come_in_pieces(open_pair: Pair, answered: list[Any]) -> None:
    whole = plain().encode()
    for cut in (1, 7, 30, len(whole) - 3, len(whole) - 1):
        first, *_ = await answer(open_pair.lean, whole[:cut], whole[cut:])
        assert " 101 " in first
    assert answered == ["chat_s1"] * 5


async def test_what_a_client_says_before_it_is_answered_is_not_lost(shared_nats: NatsServer, mesh: Mesh) -> None:
    async with NatsProxy.running(shared_nats.port) as proxy, running_edge(proxy.url, http=Door) as edge:
        proxy.delay_s = 0.05
        client = RawClient(socket.create_connection(("127.0.0.1", edge.port)))
        client.sock.setblocking(False)
        await client.send(handshake("/ws/chat/early"))
        await eventually(lambda: list(edge.edge.topics()))
        await client.send(masked(0x81, b'{"type":"ping","timestamp":7}'))
        said = b""
        async with within():
            while b'"pong"' not in said:
                said += await asyncio.get_running_loop().sock_recv(client.sock, 4_096)
        assert said.startswith(b"HTTP/1.1 101 ")
        client.close()


async def test_who_never_finishes_a_handshake_is_sent_away(open_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.Door, "head_within_s", 0.1)
    for beginning in (b"", b"GET /ws/chat/s1 HTTP/1.1\r\nHost: x\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", open_pair.lean.port)
        writer.write(beginning)
        async with within():
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()
    await eventually(lambda: not any(isinstance(one, Door) for one in connections(open_pair.lean)))


def connections(edge: RunningEdge) -> set[Any]:
    return edge.server.server_state.connections


async def test_nothing_of_a_door_is_left_behind(open_pair: Pair) -> None:
    gc.collect()
    before = sum(isinstance(one, Door) for one in gc.get_objects())
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(open_pair.lean.connect("/ws/chat/s1"))
        await open_pair.lean.refusal("/ws/chat/s1", origin="http://evil.example")
        gc.collect()
        assert sum(isinstance(one, Door) for one in gc.get_objects()) <= before
        assert len(connections(open_pair.lean)) == 5
    await eventually(lambda: not connections(open_pair.lean))


async def test_who_leaves_while_it_waits_leaves_nothing_behind(
    shared_nats: NatsServer, mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    async with NatsProxy.running(shared_nats.port) as proxy, running_edge(proxy.url, http=Door, linger_s=0) as edge:
        proxy.delay_s = 0.1
        with caplog.at_level(logging.WARNING):
            for number in range(3):
                _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
                writer.write(handshake(f"/ws/chat/left-{number}"))
                await eventually(lambda: list(edge.edge.topics()))
                writer.transport.abort()
                await eventually(lambda: not list(edge.edge.topics()))
            assert not list(edge.edge.sockets())
            assert not connections(edge)
            waiting = asyncio.create_task(edge.refusal("/ws/chat/draining"))
            await eventually(lambda: list(edge.edge.topics()))
            await edge.edge.drain()
            async with within():
                assert (await waiting)[0] == 503
        assert [record.getMessage() for record in caplog.records] == []


class Wall:
    """Middleware of somebody's own, which lets in only who knows the word."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or (b"x-word", b"please") in scope["headers"]:
            await self.app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close"})


def with_router(**options: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(websocket_router, **options)
    return app


def refuse() -> None:
    raise WebSocketException(1008)


@pytest.mark.promise("P-DOORS-1")
async def test_what_an_application_puts_before_its_routes_is_not_passed_by(
    shared_nats: NatsServer, mesh: Mesh, answered: list[Any]
) -> None:
    walled = FastAPI(middleware=[Middleware(Wall)])
    walled.include_router(websocket_router)
    async with running_edge(shared_nats.url, app=walled, http=Door) as edge:
        assert (await edge.refusal("/ws/events"))[0] == 403
        async with edge.connect("/ws/events", additional_headers={"X-Word": "please"}) as client:
            assert client.hello["payload"]["connection_id"] == "events"
    async with running_edge(shared_nats.url, app=with_router(prefix="/mesh"), http=Door) as edge:
        assert (await edge.refusal("/ws/events"))[0] == 403
        async with edge.connect("/mesh/ws/events") as client:
            assert client.hello["payload"]["connection_id"] == "events"
    assert answered == []
    guarded = with_router(dependencies=[Depends(refuse)])
    async with running_edge(shared_nats.url, app=guarded, http=Door) as edge:
        assert (await edge.refusal("/ws/events"))[0] == 403
    assert answered == []
    async with running_edge(shared_nats.url, app=with_router(), http=Door) as edge, edge.connect("/ws/events"):
        assert answered == ["events"]


# -- tokens and limits, at both doors ---------------------------------------------------------------------------------


@pytest.mark.promise("P-TOKEN-1")
@pytest.mark.parametrize("http", DOORS)
async def test_a_token_opens_what_it_says_and_nothing_else(shared_nats: NatsServer, mesh: Mesh, http: Any) -> None:
    async with running_edge(shared_nats.url, http=http, token_key=KEY, auth_within_s=0.05) as edge:
        ways: list[dict[str, Any]] = [
            {"subprotocols": ["mesh.v1", f"bearer.{S1}"]},
            {"additional_headers": {"Authorization": f"Bearer {S1}"}},
            {"additional_headers": {"Cookie": f"theme=dark; mesh_token={S1}"}},
        ]
        for options in ways:
            async with edge.connect("/ws/chat/s1", **options) as client:
                assert client.hello["payload"]["status"] == "connected"
                assert client.ws.subprotocol == ("mesh.v1" if "subprotocols" in options else None)
                (link,) = edge.edge.sockets()
                assert link.visitor.user == "ada"
            await eventually(lambda: not list(edge.edge.sockets()))
        for path, options, code in [
            ("/ws/chat/s2", ways[0], 4403),
            ("/ws/council", ways[0], 4403),
            ("/ws/chat/s1", {}, 4401),
            (f"/ws/chat/s1?token={S1}", {}, 4401),
            ("/ws/chat/s1", {"additional_headers": {"Authorization": f"Bearer {EXPIRED}"}}, 4401),
            ("/ws/chat/s1", {"additional_headers": {"Authorization": f"Bearer {STRANGE}"}}, 4401),
        ]:
            assert await close_code(edge, path, **options) == code
        await eventually(lambda: not connections(edge))
        assert edge.edge.counts.refused == {("4403", "forbidden"): 2, ("4401", "unauthenticated"): 4}
        assert edge.edge.counts.closed["4403"] == 2
        assert edge.edge.counts.closed["4401"] == 4


async def close_code(edge: RunningEdge, path: str, **options: Any) -> int:
    """Open, and give the code with which it is closed at once."""
    async with within(), connect(f"ws://127.0.0.1:{edge.port}{path}", **options) as ws:
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
        return closed.value.rcvd.code if closed.value.rcvd else 1006


@pytest.mark.promise("P-RATE-1")
@pytest.mark.parametrize("http", DOORS)
async def test_handshakes_beyond_the_rate_are_told_when_to_come_again(
    shared_nats: NatsServer, mesh: Mesh, http: Any
) -> None:
    async with running_edge(shared_nats.url, http=http, handshakes_per_s=0.01) as edge:
        first, *_ = await answer(edge, plain().encode())
        assert " 101 " in first
        first, headers, _ = await answer(edge, plain().encode())
        assert " 429 " in first
        assert headers["retry-after"] == "1"
        assert edge.edge.counts.refused == {("429", "rate"): 1}


@pytest.mark.promise("P-CROWD-1")
@pytest.mark.parametrize("http", DOORS)
async def test_one_address_and_one_user_have_so_many_sockets(shared_nats: NatsServer, mesh: Mesh, http: Any) -> None:
    async with running_edge(
        shared_nats.url, http=http, token_key=KEY, sockets_per_address=3, sockets_per_user=2
    ) as edge:
        ada, bob = (bearer(token(">", sub=name)) for name in ("ada", "bob"))
        from_afar = {"X-Forwarded-For": "192.0.2.7"}
        async with edge.connect("/ws/events", additional_headers=ada):
            async with edge.connect("/ws/events", additional_headers=ada):
                assert await close_code(edge, "/ws/events", additional_headers=ada) == 4429
                async with edge.connect("/ws/events", additional_headers=bob):
                    assert (await edge.refusal("/ws/events", additional_headers=bob))[0] == 429
                    async with edge.connect("/ws/events", additional_headers={**bob, **from_afar}):
                        pass
            await eventually(lambda: len(list(edge.edge.sockets())) == 1)
            async with edge.connect("/ws/events", additional_headers=ada):
                pass


@pytest.mark.parametrize("http", DOORS)
async def test_all_of_a_storm_come_in_in_the_end(
    shared_nats: NatsServer, mesh: Mesh, http: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three hundred come back at once, a hundred more than the burst; who is refused asks again."""
    began, knocks, knock = asyncio.get_running_loop().time(), itertools.count(), Gate.knock

    def knock_at_once(gate: Gate, who: Knock, at: float, **more: Any) -> None:
        """For the first ones no time passes, however long the machine takes for them."""
        knock(gate, who, began if next(knocks) < 300 else at, **more)

    monkeypatch.setattr(Gate, "knock", knock_at_once)
    async with running_edge(shared_nats.url, http=http, handshakes_per_s=100) as edge:
        refused = 0

        async def come() -> None:
            nonlocal refused
            while " 101 " not in (got := await answer(edge, plain().encode()))[0]:
                assert " 429 " in got[0]
                refused += 1
                await asyncio.sleep(0.2)

        async with within(30), asyncio.TaskGroup() as tasks:
            for _ in range(300):
                tasks.create_task(come())
        assert refused == edge.edge.counts.refused["429", "rate"] >= 100
        await eventually(lambda: not connections(edge))


@pytest.mark.parametrize("path", ["/ws/chat/s1?odd=1", "/ws?odd=1", "/sse/chat/s1"])
async def test_what_fastapi_is_to_answer_waits_for_its_turn(
    open_pair: Pair, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    edge, line = open_pair.lean, list[Any]()
    with monkeypatch.context() as patch:
        patch.setattr(Turnstile, "line_up", lambda _, go: line.append(go))  # the line stands still
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(handshake(path) if path.startswith("/ws") else f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode())
        await eventually(lambda: len(line) == 1)
        early = masked(0x81, b'{"type":"ping","timestamp":"early"}')
        writer.write(early if path.startswith("/ws") else b"\r\n")
        await writer.drain()
        (door,) = connections(edge)
        await eventually(lambda: door._data.endswith((early, b"\r\n\r\n")))
        gone = (await asyncio.open_connection("127.0.0.1", edge.port))[1]
        gone.write(handshake(path))
        await eventually(lambda: len(line) == 2)
        gone.transport.abort()
        await eventually(lambda: len(connections(edge)) == 1)
        loud = await asyncio.open_connection("127.0.0.1", edge.port)
        loud[1].write(handshake(path))
        await eventually(lambda: len(line) == 3)
        loud[1].write(bytes(100_000))
        async with within():
            assert await loud[0].read() == b""
        await eventually(lambda: len(connections(edge)) == 1)
        loud[1].close()
    assert [go() for go in line] == [True, *[False] * (len(line) - 1)]
    async with within():
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 101 ", b"HTTP/1.1 200 "))
        assert b'"status":"connected"' in await reader.readuntil(b"timestamp")
        if path.startswith("/ws"):
            await reader.readuntil(b"early")  # the pong
    writer.transport.abort()
    await eventually(lambda: not connections(edge))


@pytest.mark.parametrize("path", ["/ws/chat/s1", "/ws"])
async def test_the_answer_and_the_greeting_come_in_one_piece(open_pair: Pair, path: str) -> None:
    async with open_pair.lean.connect("/ws/chat/s1"):  # so that the topic knows where it stands
        loop = asyncio.get_running_loop()
        sock = socket.create_connection(("127.0.0.1", open_pair.lean.port))
        sock.setblocking(False)
        await loop.sock_sendall(sock, handshake(path))
        async with within():
            first = await loop.sock_recv(sock, 65_536)
        sock.close()
    assert first.startswith(b"HTTP/1.1 101 ")
    assert b'"status":"connected"' in first
