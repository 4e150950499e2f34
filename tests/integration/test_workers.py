"""`mesh edge --workers N`: several processes on one port, ready, asked and stopped as one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from tests.support.deadlines import eventually, within
from tests.support.edge_command import EdgeCommand, edge_command
from tests.support.processes import all_gone, none_left
from tests.support.ws_client import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(
    shared_nats: NatsServer, mesh: Mesh, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EdgeCommand]:
    """Two workers, for tests that leave them well."""
    folder = tmp_path_factory.mktemp("edge")
    async with edge_command(shared_nats.url, "--workers", "2", folder=folder, edge_id="pair") as edge:
        yield edge


async def readiness(edge: EdgeCommand) -> tuple[int, Any]:
    """Ask over a connection of its own, so that any worker may answer."""
    async with httpx.AsyncClient() as http:
        try:
            answer = await http.get(f"{edge.url}/readyz", timeout=20)
        except httpx.TransportError:
            return 0, {}
    return answer.status_code, answer.json()


async def is_ready(edge: EdgeCommand) -> bool:
    return (await readiness(edge))[0] == 200


async def one_at_each(edge: EdgeCommand, path: str) -> dict[str, Client]:
    """Give a client at each of two workers, by the names of these."""
    clients: dict[str, Client] = {}
    async with within():
        while len(clients) < 2:
            client = await edge.connect(path).__aenter__()
            name = client.hello["payload"]["edge"]
            if name in clients:
                await client.ws.close()
            else:
                clients[name] = client
    return clients


async def test_connections_are_spread_and_each_worker_has_a_name(edge: EdgeCommand, mesh: Mesh) -> None:
    clients = await one_at_each(edge, "/ws/chat/spread")
    assert sorted(clients) == ["pair-1", "pair-2"]
    await mesh.chat("spread").send("to all", sender="user")
    for client in clients.values():
        assert (await client.event())["payload"]["content"] == "to all"
        await client.ws.close()


@pytest.mark.promise("P-WORKERS-1")
async def test_it_is_ready_only_when_every_worker_is(edge: EdgeCommand) -> None:
    status, told = await readiness(edge)
    assert (status, told["status"]) == (200, "connected")
    assert [worker["edge"] for worker in told["workers"]] == ["pair-1", "pair-2"]
    _first, second = await edge.workers()
    os.kill(second, signal.SIGSTOP)
    try:
        asking = [asyncio.create_task(readiness(edge)) for _ in range(20)]  # the stopped one answers none of its own
        done, pending = await asyncio.wait(asking, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        status, told = done.pop().result()
        assert (status, told["status"]) == (503, "silent")
        assert [worker["status"] for worker in told["workers"]] == ["connected", "silent"]
    finally:
        os.kill(second, signal.SIGCONT)
    await eventually(lambda: is_ready(edge))


@pytest.mark.promise("P-WORKERS-1")
async def test_clients_of_a_killed_worker_go_on_at_another_and_it_is_started_again(
    edge: EdgeCommand, mesh: Mesh
) -> None:
    clients = await one_at_each(edge, "/ws/chat/killed")
    victim, other = clients["pair-1"], clients["pair-2"]
    await mesh.chat("killed").send("before", sender="user")
    for client in clients.values():
        await client.event()
    pid = (await edge.workers())[0]
    os.kill(edge.process.pid, signal.SIGSTOP)  # so that the dead one stays away for as long as this looks
    try:
        os.kill(pid, signal.SIGKILL)
        assert (await victim.closing())[0] == 1006
        await eventually(lambda: is_dead(pid))
        await mesh.chat("killed").send("meanwhile", sender="user")
        for _ in range(10):
            async with edge.connect("/ws/chat/killed", ledger=victim.ledger) as again:
                assert again.hello["payload"]["edge"] == "pair-2"  # nobody waits in line at the dead one
                if not victim.ledger.contents()[1:]:
                    await again.event()
        status, told = await readiness(edge)
        assert (status, [worker["status"] for worker in told["workers"]]) == (503, ["silent", "connected"])
    finally:
        os.kill(edge.process.pid, signal.SIGCONT)
    await eventually(lambda: is_ready(edge))
    assert pid not in await edge.workers()
    assert "worker 1 at" in edge.log
    assert "was killed by signal 9; starting it again" in edge.log
    await mesh.chat("killed").send("after", sender="user")
    async with edge.connect("/ws/chat/killed", ledger=victim.ledger) as again:
        await again.event()
        await other.events(2)
        for client in (again, other):
            assert client.ledger.contents() == ["before", "meanwhile", "after"]
    await other.ws.close()


async def is_dead(pid: int) -> bool:
    """Whether a process has ended, also where its parent has not noticed."""
    process = await asyncio.create_subprocess_exec(
        *("ps", "-o", "stat=", "-p", str(pid)), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.strip()[:1] in {b"", b"Z"}


async def test_one_worker_may_be_restarted_alone(edge: EdgeCommand, mesh: Mesh) -> None:
    clients = await one_at_each(edge, "/ws/chat/rolled")
    pid = (await edge.workers())[1]
    os.kill(edge.process.pid, signal.SIGSTOP)  # so that it is not back before this has looked
    try:
        os.kill(pid, signal.SIGTERM)
        moved = clients["pair-2"]
        assert (await moved.closing())[0] == 1012
        async with edge.connect("/ws/chat/rolled", ledger=moved.ledger) as again:
            assert again.hello["payload"]["edge"] == "pair-1"
            await mesh.chat("rolled").send("still here", sender="user")
            for client in (again, clients["pair-1"]):
                assert (await client.event())["payload"]["content"] == "still here"
    finally:
        os.kill(edge.process.pid, signal.SIGCONT)
    await clients["pair-1"].ws.close()
    await all_gone(pid)
    await eventually(lambda: is_ready(edge))


@pytest.mark.promise("P-WORKERS-1", "P-DRAIN-1")
async def test_sigterm_drains_them_all(shared_nats: NatsServer, mesh: Mesh, tmp_path: Path) -> None:
    async with edge_command(shared_nats.url, "--workers", "2", folder=tmp_path, drain_s=0.5) as edge:
        clients = await one_at_each(edge, "/ws/chat/drained")
        workers = await edge.workers()
        with none_left(*workers):
            ending = asyncio.create_task(edge.end())
            for client in clients.values():
                await client.next("reconnect")
                assert (await client.closing())[0] == 1012
            assert await ending == 0
            await all_gone(*workers, within_s=0.5)
        assert "ERROR" not in edge.log


@pytest.mark.promise("P-DRAIN-2")
async def test_a_second_signal_ends_them_all_at_once(shared_nats: NatsServer, mesh: Mesh, tmp_path: Path) -> None:
    async with edge_command(shared_nats.url, "--workers", "2", folder=tmp_path, drain_s=300) as edge:
        clients = [await edge.connect("/ws/chat/twice").__aenter__() for _ in range(20)]
        workers = await edge.workers()
        folder = await folder_of(workers[0])
        with none_left(*workers):
            edge.process.send_signal(signal.SIGTERM)
            for client in clients:
                await client.next("reconnect")
            assert edge.process.returncode is None
            assert await edge.end(within_s=5) == 128 + signal.SIGTERM
            await all_gone(*workers, within_s=5)
        assert not folder.exists()
        for client in clients:
            await client.ws.close()


async def test_workers_end_with_their_parent(shared_nats: NatsServer, mesh: Mesh, tmp_path: Path) -> None:
    async with edge_command(shared_nats.url, "--workers", "2", folder=tmp_path, drain_s=0.2) as edge:
        workers = await edge.workers()
        folder = await folder_of(workers[0])
        with none_left(*workers):
            assert await edge.end(signal.SIGKILL) == -signal.SIGKILL
            await all_gone(*workers)
        assert not folder.exists()


async def folder_of(pid: int) -> Path:
    """Where the Unix sockets of a worker and its siblings are."""
    process = await asyncio.create_subprocess_exec(
        *("ps", "-ww", "-o", "args=", "-p", str(pid)), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    folder = Path(out.decode().partition(" --worker 1/2:")[2].split()[0])
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]
    return folder
