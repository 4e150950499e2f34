"""`GET /brain/status` on a real nats-server."""

from __future__ import annotations

from daena_mesh.embedded import NatsServer
from tests.support.api import running_api

PATH = "/api/v1/brain/status"


async def test_each_brain_has_its_newest_state(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api:
        assert (await api.client.get(PATH)).json() == {"brains": []}
        publish = api.mesh.publish
        await publish("brain.main.status", {"brain_id": "main", "status": "starting"})
        await publish("brain.second.status", {"status": {"load": 1}})
        ack = await publish("brain.main.status.monitor", {"brain_id": "main", "status": "ok", "model": "m"})
        await publish("brain.third.thought", {"status": "is no status"})
        await api.mesh.connection.request("brain.fourth.status", b"poison", timeout_s=2)
        brains = (await api.client.get(PATH)).json()["brains"]
        assert [(brain["brain_id"], brain["status"]) for brain in brains] == [("main", "ok"), ("second", {"load": 1})]
        assert brains[0]["cursor"] == ack.cursor
        assert brains[0]["payload"]["model"] == "m"
