"""A limit that took events and was raised since: what it took is told all the same."""

from __future__ import annotations

from daena_mesh.embedded import NatsServer
from daena_mesh.events import Event
from daena_mesh.feed import Gap
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import provision
from daena_mesh.settings import MeshSettings
from tests.support.deadlines import eventually, within


async def first_seq(mesh: Mesh) -> int:
    """Where RECORDS begins."""
    return (await mesh.log.bounds("RECORDS"))[0]


async def test_what_a_limit_took_is_told_also_when_it_is_gone(nats_server: NatsServer) -> None:
    narrow = MeshSettings(nats_url=nats_server.url, records_max_bytes=20_000)
    async with within(30), Mesh(narrow, name="narrow", provisions=True) as mesh:
        first = await mesh.chat("s1").send("0", sender="u")
        for number in range(1, 100):
            last = await mesh.chat("s1").send(str(number), sender="u")
        await eventually(lambda: mesh.log.epochs["RECORDS"].seq > 1)  # its marker was written again
        begin = await first_seq(mesh)
        assert first.seq < begin < last.seq
    wide = MeshSettings(nats_url=nats_server.url)
    async with within(30), Mesh(wide, name="wide", provisions=True) as mesh:
        async with mesh.subscribe("chat.s1.message", since=first.cursor) as feed:
            items = aiter(feed)
            gap, event = await anext(items), await anext(items)
        assert isinstance(gap, Gap)
        assert (gap.before, gap.reason) == (first.cursor, "expired")
        assert isinstance(event, Event)
        assert int(event.cursor.rpartition("-")[2]) == int(gap.after.rpartition("-")[2]) + 1


async def test_a_limit_that_took_the_marker_begins_no_other_life(nats_server: NatsServer) -> None:
    narrow = MeshSettings(nats_url=nats_server.url, records_max_bytes=20_000)
    async with Mesh(narrow, name="first", provisions=True):
        pass
    async with within(30), Mesh(narrow, name="other") as mesh:  # which does not write the marker again
        before = mesh.log.epochs["RECORDS"]
        for number in range(100):
            await mesh.chat("s1").send(str(number), sender="u")
        assert await first_seq(mesh) > before.seq
        await provision(mesh.connection, mesh.layout, narrow, mesh.log.epochs)
        await mesh.log.learn_epochs()
        after = mesh.log.epochs["RECORDS"]
        assert (after.name, after.seq > before.seq) == (before.name, True)
