"""Tokens of every algorithm, with keys from an address, at every door; and what becomes of them when keys change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any, NamedTuple
from unittest import mock

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.jwks import Jwks
from daena_mesh.revocations import revoke
from daena_mesh.tokens import mint
from mesh_api.settings import ApiSettings
from tests.support.api import SESSIONS, Api, running_api
from tests.support.deadlines import eventually, within
from tests.support.doors import Pair, both_doors
from tests.support.edge import RunningEdge, running_edge
from tests.support.event_source import event_source
from tests.support.plain_ws import end_of, hear, say
from tests.support.signers import ALGORITHMS, KeyServer, Signer, key_server
from tests.support.tokens import bearer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("P-TOKEN-9")]

SECRET = "a key of tests, of thirty-two bytes"
SIGNERS = {alg: Signer(alg, alg.lower()) for alg in ALGORITHMS}
CHAT: dict[str, Any] = {"mesh": {"read": ["chat.k1.>", "session.k1.>"], "write": ["chat.k1.message"]}, "iat": 1}
EVERY = (*ALGORITHMS, "HS256")


class Doors(NamedTuple):
    """An API and two edges that believe the same keys."""

    keys: KeyServer
    api: Api
    edges: Pair

    @property
    def sources(self) -> list[Jwks]:
        """Each of them fetches for itself."""
        found = [self.api.context.callers.source]
        found += [edge.edge.gate.keyring.source for edge in self.edges if edge.edge.gate.keyring is not None]
        return [source for source in found if source is not None]

    async def all_have(self, *signers: Signer) -> None:
        """Publish these keys and no others, and wait until that is known everywhere."""
        self.keys.publish(*signers)
        for source in self.sources:
            source._began = float("-inf")
            async with within():
                await source.fetched()
            assert {key.kid for key in source.keys} == {signer.kid for signer in signers}


@asynccontextmanager
async def doors_to(nats_url: str, keys: KeyServer) -> AsyncIterator[Doors]:
    settings: dict[str, Any] = {"jwks_url": keys.url, "token_key": SECRET}
    async with (
        running_api(nats_url, settings=ApiSettings(nats_url=nats_url, jwks_url=keys.url, token_key=SECRET)) as api,
        both_doors(nats_url, linger_s=0, **settings) as edges,
    ):
        yield Doors(keys, api, edges)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(shared_nats: NatsServer, mesh: Mesh) -> AsyncIterator[Doors]:
    async with key_server(*SIGNERS.values()) as keys, doors_to(shared_nats.url, keys) as doors:
        yield doors


def token(alg: str, *, lives_s: float = 3_600, sub: str = "ada") -> str:
    if alg != "HS256":
        return SIGNERS[alg].token(lives_s=lives_s, sub=sub, **CHAT)
    return mint({"sub": sub, "exp": time.time() + lives_s, **CHAT}, SECRET.encode())


@asynccontextmanager
async def opened(edge: RunningEdge, shown: str, path: str = "/ws/chat/k1") -> AsyncIterator[ClientConnection]:
    """Open a socket that brings its token in the handshake."""
    async with connect(f"ws://127.0.0.1:{edge.port}{path}", additional_headers=bearer(shown), compression=None) as ws:
        assert (await hear(ws))["event_type"] == "connection"
        yield ws


@pytest.mark.parametrize("alg", EVERY)
async def test_every_door_takes_every_algorithm(doors: Doors, alg: str) -> None:
    shown = token(alg)
    for edge in doors.edges:
        async with opened(edge, shown) as ws:
            client_id = f"{alg}-{edge.port}"
            await say(ws, type="send", subject="chat.k1.message", payload={"content": f"by {alg}"}, id=client_id)
            assert (await hear(ws, "ack"))["payload"]["id"] == client_id
            await say(ws, type="auth", token=token("ES256"))
            renewed = (await hear(ws, "auth"))["payload"]
            assert (renewed["status"], renewed["user"]) == ("renewed", "ada")
        async with connect(f"ws://127.0.0.1:{edge.port}/ws/chat/k1", compression=None) as ws:
            await say(ws, type="auth", token=shown)
            assert (await hear(ws))["event_type"] == "connection"
        async with opened(edge, shown, "/ws") as ws:
            await say(ws, type="subscribe", topic="chat_k1")
            assert (await hear(ws))["payload"]["connection_id"] == "chat_k1"
        async with opened(edge, shown, "/ws/events"):
            pass
        async with event_source(edge.port, "/sse/chat/k1", **bearer(shown)) as stream:
            assert stream.status == 200
    assert (await doors.api.client.get(SESSIONS, headers=bearer(shown))).status_code == 200
    body = {"message": "hi", "session_id": "k1"}
    said = await doors.api.client.post("/api/v1/daena/chat", json=body, headers=bearer(shown))
    assert said.status_code == 200
    refused = await doors.api.client.post("/api/v1/daena/chat", json={"message": "hi"}, headers=bearer(shown))
    assert refused.status_code == 403


async def test_a_key_that_nobody_published_opens_no_door(doors: Doors) -> None:
    for eve in (Signer("ES256", "es256"), Signer("RS256", "rs256"), Signer("EdDSA", "who"), Signer("ES256")):
        shown = eve.token(**CHAT)
        for edge in doors.edges:
            async with connect(f"ws://127.0.0.1:{edge.port}/ws/chat/k1", additional_headers=bearer(shown)) as ws:
                assert await end_of(ws) == 4401
            async with connect(f"ws://127.0.0.1:{edge.port}/ws/chat/k1") as ws:
                await say(ws, type="auth", token=shown)
                assert await end_of(ws) == 4401
            async with opened(edge, token("EdDSA")) as ws:
                await say(ws, type="auth", token=shown)
                assert await end_of(ws) == 4401
            async with event_source(edge.port, "/sse/chat/k1", **bearer(shown)) as stream:
                assert stream.status == 401
        assert (await doors.api.client.get(SESSIONS, headers=bearer(shown))).status_code == 401


@pytest.mark.promise("P-TOKEN-10")
async def test_a_new_key_is_fetched_by_whoever_meets_it_while_others_are_served(doors: Doors) -> None:
    await doors.all_have(*SIGNERS.values())
    new = Signer("ES256", "new")
    doors.keys.publish(*SIGNERS.values(), new)
    doors.keys.may_answer.clear()
    for source in doors.sources:
        source._began = float("-inf")
    shown = new.token(**CHAT)

    async def enter(edge: RunningEdge, way: str) -> None:
        headers = bearer(shown) if way == "head" else {}
        if way == "renewal":
            headers = bearer(token("HS256"))
        async with connect(f"ws://127.0.0.1:{edge.port}/ws/chat/k1", additional_headers=headers) as ws:
            if way != "head":
                await say(ws, type="auth", token=shown)
            await hear(ws, "auth" if way == "renewal" else "connection")

    asked = len(doors.keys.asked)
    coming = [asyncio.create_task(enter(edge, way)) for edge in doors.edges for way in ("head", "message", "renewal")]
    reading = asyncio.create_task(doors.api.client.get(SESSIONS, headers=bearer(shown)))
    await eventually(lambda: len(doors.keys.asked) == asked + 3)
    for edge in doors.edges:  # a fetch that takes its time is in nobody's way
        async with opened(edge, token("RS256")):
            pass
    assert (await doors.api.client.get(SESSIONS, headers=bearer(token("EdDSA")))).status_code == 200
    assert not any(task.done() for task in [*coming, reading])
    doors.keys.may_answer.set()
    async with within():
        await asyncio.gather(*coming)
        assert (await reading).status_code == 200
    assert len(doors.keys.asked) == asked + 3


@pytest.mark.promise("P-TOKEN-10")
async def test_what_a_key_had_opened_is_closed_when_it_is_no_longer_published(doors: Doors) -> None:
    old = Signer("RS256", "old")
    await doors.all_have(*SIGNERS.values(), old)
    shown = old.token(**CHAT)
    first, second = doors.edges
    async with (
        opened(first, shown) as one,
        opened(second, shown) as two,
        opened(second, token("RS256")) as other,
        event_source(first.port, "/sse/chat/k1", **bearer(shown)) as stream,
    ):
        assert (await doors.api.client.get(SESSIONS, headers=bearer(shown))).status_code == 200
        asking = asyncio.create_task(wait_for_an_answer(doors.api, shown, "old"))
        await eventually(lambda: doors.api.context.callers._blocks)
        await doors.all_have(*SIGNERS.values())
        assert [await end_of(one), await end_of(two)] == [4401, 4401]
        await stream.ended()
        assert await asking == 401
        assert (await doors.api.client.get(SESSIONS, headers=bearer(shown))).status_code == 401
        told = (await doors.api.client.get("/metrics")).text
        assert f"\nmesh_api_public_keys {len(SIGNERS)}\n" in told
        assert '\nmesh_api_public_key_fetches_total{outcome="failed"} 0\n' in told
        async with within():
            await (await other.ping())


async def wait_for_an_answer(api: Api, shown: str, said: str) -> int:
    body = {"message": said, "session_id": "k1"}
    async with within(30):
        return (
            await api.client.post(
                "/api/v1/agents/nobody/chat", json=body, headers={**bearer(shown), "Prefer": "wait=60"}
            )
        ).status_code


@pytest.mark.promise("P-TOKEN-11")
async def test_who_waits_for_an_answer_waits_no_longer_than_the_token_is_good(doors: Doors, mesh: Mesh) -> None:
    assert await wait_for_an_answer(doors.api, token("ES256", lives_s=2), "soon") == 401
    asking = asyncio.create_task(wait_for_an_answer(doors.api, token("ES256", sub="bob"), "revoked"))
    other = asyncio.create_task(wait_for_an_answer(doors.api, token("ES256", sub="eve"), "not revoked"))
    await eventually(lambda: len(doors.api.context.callers._blocks) == 2)
    await revoke(mesh, user="bob")
    assert await asking == 401
    assert not other.done()
    await revoke(mesh, user="eve")
    assert await other == 401
    assert not doors.api.context.callers._blocks


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let who has no keys ask again at once."""
    with ExitStack() as stack:
        defaults = {**(Jwks.__init__.__kwdefaults__ or {}), "pause_s": 0.05}
        stack.enter_context(mock.patch.object(Jwks.__init__, "__kwdefaults__", defaults))
        yield


@pytest.mark.promise("P-TOKEN-10")
async def test_before_any_key_was_had_nobody_is_told_that_a_token_is_wrong(
    shared_nats: NatsServer, mesh: Mesh, hasty: None
) -> None:
    async with key_server() as keys, doors_to(shared_nats.url, keys) as doors:
        shown = token("ES256")
        answer = await doors.api.client.get(SESSIONS, headers=bearer(shown))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"].endswith(":no-token-keys")
        for edge in doors.edges:
            url = f"ws://127.0.0.1:{edge.port}/ws/chat/k1"
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url, additional_headers=bearer(shown)):
                    pass
            assert refused.value.response.status_code == 503
            async with connect(url) as ws:
                await say(ws, type="auth", token=shown)
                assert await end_of(ws) == 1011
            async with event_source(edge.port, "/sse/chat/k1", **bearer(shown)) as stream:
                assert stream.status == 503
            async with opened(edge, token("HS256")) as ws:
                await say(ws, type="auth", token=shown)
                assert await end_of(ws) == 1011
        keys.publish(*SIGNERS.values())
        for source in doors.sources:
            await eventually(lambda source=source: source.is_known)  # type: ignore[misc]
        for edge in doors.edges:
            async with opened(edge, shown):
                pass
        assert (await doors.api.client.get(SESSIONS, headers=bearer(shown))).status_code == 200


@pytest.mark.promise("P-TOKEN-10")
async def test_nobody_is_sent_to_who_has_no_key_at_all(shared_nats: NatsServer, mesh: Mesh, hasty: None) -> None:
    async with key_server() as keys:
        api_settings = ApiSettings(nats_url=shared_nats.url, jwks_url=keys.url)
        async with (
            running_api(shared_nats.url, settings=api_settings, ready=False) as api,
            running_edge(shared_nats.url, is_ready=False, jwks_url=keys.url) as edge,
        ):
            await eventually(lambda: edge.edge.mesh.connection.state == "connected")

            async def says_why() -> bool:
                ready = await api.client.get("/readyz")
                return ready.status_code == 503 and "public keys" in ready.json()["detail"]

            await eventually(says_why)
            assert not edge.edge.is_ready
            keys.publish(SIGNERS["ES256"])
            await api.ready()
            await eventually(lambda: edge.edge.is_ready)
