"""Ten thousand hostile ids at every door: each is refused, and the connection to NATS is unharmed."""

from __future__ import annotations

import random
from urllib.parse import quote

import pytest

from daena_mesh.embedded import NatsServer
from daena_mesh.errors import InvalidId, MeshError
from daena_mesh.subjects import check_id, subject_for
from mesh_edge import topic_name
from tests.support.api import SESSIONS, running_api
from tests.support.edge import provisioned_mesh, running_edge

COUNT = 10_000
AT_SERVERS = 400
"""Of these so many go through a whole server too, at each of its doors."""

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


@pytest.mark.promise("P-ID-1")
async def test_the_api_and_an_edge_refuse_each(nats_server: NatsServer) -> None:
    chance = random.Random(21)
    some = chance.sample([ident for ident in IDS if ident.isprintable() and ident.strip("./")], AT_SERVERS)
    async with running_api(nats_server.url) as api, running_edge(nats_server.url) as edge:
        inside = [api.mesh.connection, edge.edge.mesh.connection]
        clients = [connection.client for connection in inside]
        for ident in some:
            path = quote(ident, safe="")
            for asked in (f"{SESSIONS}/{path}", f"/api/v1/agents/{path}", f"/api/v1/tasks/{path}"):
                assert (await api.client.get(asked)).status_code in {404, 422}, asked[:200]
            said = await api.client.post("/api/v1/daena/chat", json={"message": "x", "session_id": ident})
            assert said.status_code == 422
        for ident in some[: AT_SERVERS // 4]:
            if len(ident) < 2_000:
                status, _ = await edge.refusal(f"/ws/chat/{quote(ident, safe='')}")
                assert status in {400, 403, 404}
        assert [connection.client for connection in inside] == clients
        assert [connection.connects for connection in inside] == [1, 1]
