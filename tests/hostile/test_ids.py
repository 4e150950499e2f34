"""Ten thousand hostile ids at every door: each is refused, and the connection to NATS is unharmed."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any
from urllib.parse import quote, unquote

import pytest
from fastapi import FastAPI

from daena_mesh.embedded import NatsServer
from daena_mesh.errors import InvalidId, MeshError
from daena_mesh.layout import RECORDS
from daena_mesh.subjects import check_id, subject_for
from mesh_edge import client_messages, topic_name
from tests.support.api import SESSIONS, running_api
from tests.support.deadlines import within
from tests.support.edge import provisioned_mesh, running_edge

COUNT = 10_000
HANDSHAKES = 200
"""Of these so many come as the path of a WebSocket, one connection each."""

PIECES = [
    *("*", ">", ".", "..", "$JS", "$KV", "_INBOX.x", " ", "\t", "\r\n", "\0", "\x7f", "\x1b[2J", "%", "%00", "/", "\\"),
    *(
        "ä",
        "\u202e",
        "\ufeff",
        "\U0001f600",
        "\ud800",
        "\u0430",
        "x" * 65,
        "x" * 5_000,
        "PUB a 1\r\n",
        "\n",  # `$` of a regular expression matches before it
        "<script>",
        "'",
        '"',
    ),
]


def hostile_ids() -> list[str]:
    """The same ones each time; each holds something that no id may, or is none for its length."""
    chance = random.Random(20)
    made = ["", *PIECES]
    while len(made) < COUNT:
        honest = "".join(chance.choices("abcXYZ019_-", k=chance.randrange(6)))
        place = chance.randrange(len(honest) + 1)
        made.append(honest[:place] + "".join(chance.choices(PIECES, k=chance.randint(1, 3))) + honest[place:])
    return made


IDS = hostile_ids()


@pytest.mark.promise("P-ID-1")
def test_no_subject_is_made_of_any() -> None:
    assert len(IDS) == COUNT
    for ident in IDS:
        with pytest.raises(InvalidId) as refused:
            check_id(ident)
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 300
        with pytest.raises(MeshError):
            subject_for("agent.activity", ident)
        for topic in (topic_name.chat, topic_name.agent):
            with pytest.raises(InvalidId):
                topic(ident)


@pytest.mark.promise("P-ID-1")
async def test_the_sdk_refuses_each(nats_server: NatsServer) -> None:
    async with provisioned_mesh(nats_server.url) as mesh:
        client = mesh.connection.client
        for ident in IDS:
            with pytest.raises(MeshError):
                await mesh.publish(f"chat.{ident}.message", {})
            with pytest.raises(InvalidId):
                mesh.chat(ident)
        assert (await mesh.publish("agent.a1.activity", {"still": "here"})).cursor
        assert mesh.connection.client is client
        assert mesh.connection.connects == 1


def asked_of_the_api(ident: str, number: int) -> tuple[str, str, dict[str, object] | None]:
    """One of the doors of the API, another one for each: method, path and body."""
    path = quote(ident.encode("utf-8", "surrogatepass"), safe="")
    doors: list[tuple[str, str, dict[str, object] | None]] = [
        ("POST", "/api/v1/daena/chat", {"message": "x", "session_id": ident}),
        ("POST", "/api/v1/agents/scout/chat", {"message": "x", "session_id": ident}),
        ("POST", f"/api/v1/agents/{path}/chat", {"message": "x"}),
        ("GET", f"{SESSIONS}/{path}", None),
        ("PUT", f"{SESSIONS}/{path}", {"title": "x"}),
        ("DELETE", f"{SESSIONS}/{path}", None),
        ("GET", f"/api/v1/agents/{path}", None),
        ("GET", f"/api/v1/tasks/{path}", None),
        ("POST", f"/api/v1/tasks/{path}/cancel", None),
        ("POST", f"{SESSIONS}/{path}/messages", {"content": "x"}),
        ("POST", f"{SESSIONS}/{path}/stop", {}),
        ("POST", f"{SESSIONS}/{path}/members", {"add": ["bob"]}),
        ("POST", "/api/v1/events", {"subject": f"agent.{ident}.activity", "payload": {}}),
        ("POST", f"/ai/chat/{path}/stop", {}),
    ]
    return doors[number % len(doors)]


async def ask(app: FastAPI, method: str, path: str, body: dict[str, object] | None) -> tuple[int, bytes]:
    """Ask as a server would, ten times as fast as a client with connections; give status and body."""
    content, said, statuses = b"" if body is None else json.dumps(body).encode(), bytearray(), [0]

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", statuses[-1]))
        said.extend(message.get("body", b""))

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    headers += [(b"content-length", b"%d" % len(content))] if body is not None else []
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.1", 5),
        "server": ("localhost", 80),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
        "asgi": {"version": "3.0"},
    }
    await app(scope, receive, send)
    return statuses[-1], bytes(said)


@pytest.mark.promise("P-ID-1")
@pytest.mark.timeout(240)
async def test_the_api_refuses_each(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        connection = api.mesh.connection
        client, before = connection.client, await api.mesh.log.head(RECORDS, [">"])
        statuses: Counter[int] = Counter()
        for number, ident in enumerate(IDS):
            method, path, body = asked_of_the_api(ident, number)
            is_another = body is None and not ident.strip("./").strip()  # a path without an id is one of another kind
            status, said = await ask(api.app, method, path, body)
            statuses[status] += 1
            # A path with a slash in it leads elsewhere, and half a pair of surrogates is no JSON.
            wanted = {400, 404, 405, 422} if "/" in ident else {400, 422} if "\ud800" in ident else {422}
            assert is_another or status in wanted, (method, path[:200], said[:200])
        assert statuses.total() == COUNT
        assert statuses[422] > COUNT // 4
        assert await api.mesh.log.head(RECORDS, [">"]) == before
        assert (connection.client, connection.connects) == (client, 1)


@pytest.mark.promise("P-ID-1")
@pytest.mark.timeout(240)
async def test_a_socket_refuses_each(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_messages, "MOST_ERRORS", COUNT + 1)  # or it would be closed after ten of them
    async with (
        provisioned_mesh(nats_server.url) as mesh,
        running_edge(nats_server.url, messages_per_s=100_000) as edge,
        edge.connect("/ws") as socket,
        within(200),
    ):
        connection = edge.edge.mesh.connection
        client, before = connection.client, await mesh.log.head(RECORDS, [">"])
        for begin in range(0, COUNT, 50):
            some = IDS[begin : begin + 50]
            for number, ident in enumerate(some):
                asked: dict[str, object] = {"type": "subscribe", "topic": f"{('chat', 'agent')[number % 2]}_{ident}"}
                if number % 3 == 1:
                    asked = {"type": "send", "id": "c", "subject": f"chat.{ident}.message", "payload": {"content": "x"}}
                elif number % 3 == 2:
                    asked = {"type": "subscribe", "topic": "events", "since": f"R-{ident}", "types": ident}
                await socket.ws.send(json.dumps(asked))
            before_pong = await socket.pong()
            refused = [frame for frame in before_pong if frame["event_type"] == "error"]
            assert len(refused) >= len(some) // 2, (some, before_pong)
            assert not [frame for frame in before_pong if frame["event_type"] == "ack"]
        assert await mesh.log.head(RECORDS, [">"]) == before
        assert (connection.client, connection.connects) == (client, 1)


@pytest.mark.promise("P-ID-1")
async def test_a_handshake_refuses_each(nats_server: NatsServer) -> None:
    chance = random.Random(21)
    some = chance.sample([ident for ident in IDS if ident.isprintable() and ident.strip("./")], HANDSHAKES)
    async with provisioned_mesh(nats_server.url), running_edge(nats_server.url) as edge:
        connection = edge.edge.mesh.connection
        client = connection.client
        for ident in some:
            if len(ident) < 2_000:
                status, _ = await edge.refusal(f"/ws/chat/{quote(ident, safe='')}")
                assert status in {400, 403, 404}
        assert (connection.client, connection.connects) == (client, 1)
