"""A marker that the stream's own limit takes is written again, with the same epoch."""

from __future__ import annotations

import pytest

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.layout import RECORDS, epoch_subject
from daena_mesh.settings import MeshSettings
from tests.support.deadlines import eventually


@pytest.mark.promise("P-GAP-1")
async def test_records_that_grow_old_keep_their_epoch(nats_server: NatsServer) -> None:
    settings = MeshSettings(nats_url=nats_server.url, records_max_age_s=1)
    async with Mesh(settings, name="test", provisions=True) as mesh:
        before = mesh.log.epochs[RECORDS]

        async def is_written_again() -> bool:
            marker = await mesh.log.last(RECORDS, epoch_subject(RECORDS))
            return marker is not None and marker.seq > before.seq and marker.body.decode() == before.name

        await eventually(is_written_again)
        assert (await mesh.chat("s1").send("still here", sender="u")).cursor.startswith(f"R{before.name}-")
