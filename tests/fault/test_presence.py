"""An edge is killed: its users leave within 20 s, once, whoever notices, unless they are elsewhere by then."""

from __future__ import annotations

import asyncio
import time

import pytest

from daena_mesh.embedded import NatsServer
from tests.support.api import running_api
from tests.support.deadlines import eventually, within
from tests.support.edge import edge_process
from tests.support.ws_client import Frame


@pytest.mark.promise("P-PRESENCE-2")
async def test_the_users_of_a_killed_edge_leave_within_20_s_and_once(nats_server: NatsServer) -> None:
    told: list[tuple[str, str, int]] = []

    def note(frame: Frame) -> None:
        payload = frame["payload"]
        told.append((frame["event_type"].partition(".")[2], payload["who"], payload["count"]))

    async with (
        within(55),
        running_api(nats_server.url) as api,
        edge_process(nats_server.url, edge_id="doomed") as doomed,
        edge_process(nats_server.url, edge_id="second") as second,
        edge_process(nats_server.url, edge_id="third") as third,
        third.connect("/ws/events") as watching,
    ):

        async def listen() -> None:
            while True:
                frame = await watching.frame(60)
                if frame["event_type"].startswith("presence."):
                    note(frame)

        listening = asyncio.create_task(listen())
        try:
            async with second.connect("/ws/chat/s1?who=stays"):
                async with doomed.connect("/ws/chat/s1?who=goes"), doomed.connect("/ws/chat/s1?who=moves"):
                    await eventually(lambda: len(told) == 3)
                    await doomed.kill()
                    killed = time.monotonic()
                async with second.connect("/ws/chat/s1?who=moves"):
                    await eventually(lambda: len(told) > 3, within_s=20)
                    assert time.monotonic() - killed < 20
                    assert told[3] == ("leave", "goes", 2)
                    answer = (await api.client.get("/api/v1/presence/chat_s1")).json()
                    assert sorted(user["who"] for user in answer["users"]) == ["moves", "stays"]
                    # Every other edge, and the API, look for dead edges too: a tick later nobody has told it again.
                    async with second.connect("/ws/chat/s1?who=last"):
                        await eventually(lambda: len(told) > 4)
                    assert told[4] == ("join", "last", 3)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    assert [step[:2] for step in told if step[1] in {"goes", "moves"}].count(("leave", "moves")) == 0
    assert [step[:2] for step in told].count(("leave", "goes")) == 1
