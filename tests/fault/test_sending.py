"""An edge is killed when what its client sent is stored and not acknowledged yet."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from daena_mesh.embedded import NatsServer
from tests.support.deadlines import within
from tests.support.edge import edge_process, provisioned_mesh
from tests.support.proxy import NatsProxy
from tests.support.ws_client import Client

MESSAGE: dict[str, Any] = {
    "type": "send",
    "id": "0190-c1",
    "subject": "chat.s1.message",
    "payload": {"sender": "ada", "content": "once"},
}


async def answer(client: Client) -> dict[str, Any]:
    while (frame := await client.frame())["event_type"] not in {"ack", "error"}:
        pass
    payload: dict[str, Any] = frame["payload"]
    return payload


@pytest.mark.promise("P-SEND-2")
async def test_what_a_killed_edge_had_stored_is_acknowledged_elsewhere_and_not_stored_again(
    nats_server: NatsServer,
) -> None:
    async with (
        provisioned_mesh(nats_server.url) as mesh,
        NatsProxy.running(nats_server.port) as proxy,
        edge_process(proxy.url) as first,
        edge_process(nats_server.url) as second,
        within(40),
    ):
        stored = asyncio.Event()
        mesh.connection.subscribe("live.chat.s1.message", lambda *_: stored.set())
        await mesh.connection.flush()
        async with first.connect("/ws/council") as client:
            proxy.delay_s = 0.5  # the acknowledgement of JetStream is on its way for as long
            await client.ws.send(json.dumps(MESSAGE))
            await stored.wait()
            await first.kill()
            with pytest.raises(ConnectionClosed):
                await answer(client)
        async with second.connect("/ws/council") as client:
            await client.ws.send(json.dumps(MESSAGE))
            ack = await answer(client)
            assert ack["duplicate"] is True
        (event,) = await mesh.chat("s1").history()
        assert event.cursor == ack["cursor"]
        assert event.payload["content"] == "once"
