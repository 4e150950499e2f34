"""A nats-server that is cut off from its peers, and not from its clients: they leave it for another."""

from __future__ import annotations

from pathlib import Path

import pytest

from daena_mesh.connection import Connection
from daena_mesh.embedded import NatsServer
from tests.chaos.network import can_make_networks
from tests.chaos.stage import Stage
from tests.support.cluster import lone_node
from tests.support.connections import connected
from tests.support.deadlines import eventually, within

pytestmark = [pytest.mark.timeout(180), pytest.mark.promise("P-CLUSTER-1")]
NOBODY = "nats://127.0.0.1:9"
"""The port of `discard`, where nobody listens."""


def server_of(connection: Connection) -> str:
    url = connection.client.connected_url
    assert url is not None
    return url.geturl()


async def test_who_comes_passes_over_a_server_that_is_alone(tmp_path: Path, nats_server: NatsServer) -> None:
    async with (
        within(60),
        await lone_node(tmp_path, "n1") as lone,
        connected(lone.url, nats_server.url) as connection,
    ):
        assert server_of(connection) == nats_server.url


async def test_a_server_that_is_alone_is_better_than_none(tmp_path: Path) -> None:
    async with within(60), await lone_node(tmp_path, "n1") as lone:
        async with connected(lone.url, NOBODY) as connection:
            assert server_of(connection) == lone.url
        async with connected(lone.url) as connection:
            assert server_of(connection) == lone.url


@pytest.mark.skipif(not can_make_networks(), reason="network namespaces need root and `ip`")
async def test_who_is_on_a_cut_off_node_goes_to_another(tmp_path: Path) -> None:
    async with within(150), Stage(tmp_path, services=False) as stage, stage.mesh("onlooker") as mesh:
        await stage.all_copies()
        assert stage.network is not None
        first = await mesh.publish("chat.s1.message", {"session_id": "s1", "sender": "u", "content": "0"})
        async with mesh.subscribe("chat.s1.message", since=first.cursor) as feed:
            for peer in ("n2", "n3"):
                stage.network.cut_between("n1", peer)
            try:
                assert mesh.connection.connects == 1
                await eventually(lambda: mesh.connection.connects > 1, within_s=60)
                await mesh.connection.wait_ready(60)
                await mesh.publish("chat.s1.message", {"session_id": "s1", "sender": "u", "content": "1"})
                event = await anext(aiter(feed))
                assert event.payload["content"] == "1"  # type: ignore[union-attr]
            finally:
                for peer in ("n2", "n3"):
                    stage.network.join_between("n1", peer)
