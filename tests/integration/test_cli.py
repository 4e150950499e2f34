"""The `mesh` command on the real thing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from daena_mesh.embedded import NatsServer
from daena_mesh.local import running_mesh
from daena_mesh.mesh import Mesh
from tests.support.commands import MESH, mesh, refused, tailing
from tests.support.deadlines import eventually, within
from tests.support.processes import all_gone, children_of, none_left
from tests.support.running_mesh import RunningMesh

HOSTILE = "\x1b[2J\u202e[red]x[/red] :smile:\r\n\x9b1m\x07"


def status(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return int(answer.status)


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


# -- mesh up -------------------------------------------------------------------------------------------------------


async def test_up_serves_all_from_one_origin(tmp_path: Path) -> None:
    mesh = RunningMesh(tmp_path)
    await mesh.start()
    try:
        for path in ("/", "/readyz", "/healthz", "/sdk/mesh.js", "/api/v1/chat-history/sessions"):
            assert await asyncio.to_thread(status, mesh.url + path) == 200
        assert running_mesh() == mesh.nats_url
        assert mesh.log == ""
    finally:
        assert await mesh.stop() == 0
    assert running_mesh() is None


@pytest.mark.promise("P-STORE-3")
async def test_up_keeps_what_was_said(mesh_up: RunningMesh) -> None:
    said = {"sender": "user", "content": "Hello!"}
    before, cursor = await emit(mesh_up.nats_url, "chat.kept.message", {**said, "content": "Hm."}, said)
    nats_url = mesh_up.nats_url
    await mesh_up.restart()
    assert mesh_up.nats_url == nats_url
    async with tailing(nats_url, "chat.kept.>", "--json", "--since", before) as tail:
        event = await tail.event()
    assert (event["cursor"], event["payload"]["content"]) == (cursor, "Hello!")


async def test_what_is_taken_is_refused_by_the_name_of_its_flag(shared_mesh: RunningMesh, tmp_path: Path) -> None:
    port, nats_port = str(shared_mesh.port), shared_mesh.nats_url.rpartition(":")[2]
    free = ["--data-dir", str(tmp_path)]
    for arguments, sentence in (
        (["--port", port, "--nats-port", "0", *free], f"port {port} on 127.0.0.1 is not free .* --port"),
        (["--port", "0", "--nats-port", nats_port, *free], f"port {nats_port} on 127.0.0.1 is taken .* --nats-port"),
        (
            ["--port", "0", "--nats-port", "0", "--data-dir", str(shared_mesh.data_dir)],
            rf"in use by process {shared_mesh.pid}: .* --data-dir",
        ),
    ):
        assert re.search(sentence, await asyncio.to_thread(refused, "up", *arguments))
    assert await asyncio.to_thread(status, f"{shared_mesh.url}/readyz") == 200


async def test_up_with_edges_starts_a_killed_one_again_and_ends_them_all(tmp_path: Path) -> None:
    async with RunningMesh(tmp_path, "--edges", "2") as mesh:
        assert len(mesh.edge_urls) == 2
        children = await children_of(mesh.pid)
        edges = [pid for pid, command in children.items() if " edge " in command]
        assert len(edges) == 2
        first = mesh.edge_urls[0]
        named = (await asyncio.to_thread(get, f"{first}/healthz"))["edge"]
        os.kill(edges[0], signal.SIGKILL)
        os.kill(edges[1], signal.SIGKILL)

        async def is_back() -> bool:
            try:
                answer = await asyncio.to_thread(get, f"{first}/readyz")
            except OSError:
                return False
            return bool(answer["edge"] != named)

        await eventually(is_back)
        edges = [pid for pid, command in (await children_of(mesh.pid)).items() if " edge " in command]
        assert len(edges) == 2
    assert "was killed by signal 9; starting it again" in mesh.log
    await all_gone(*edges)


async def test_the_edges_of_a_killed_mesh_end_too(tmp_path: Path) -> None:
    async with RunningMesh(tmp_path, "--edges", "1") as mesh:
        children = await children_of(mesh.pid)
        assert len(children) == 2  # an edge, and the guardian of nats-server
        grandchildren = [pid for child in children for pid in await children_of(child)]
        with none_left(*children, *grandchildren):
            assert await mesh.stop(signal.SIGKILL) == -signal.SIGKILL
            await all_gone(*children, *grandchildren)


async def test_a_nats_server_that_dies_is_started_again(tmp_path: Path) -> None:
    async with RunningMesh(tmp_path) as mesh:
        (guardian,) = await children_of(mesh.pid)
        children = (await children_of(guardian)).items()
        (server,) = [pid for pid, command in children if command.split()[0].endswith("nats-server")]
        os.kill(server, signal.SIGKILL)

        async def works() -> bool:
            try:
                client = await nats.connect(mesh.nats_url, allow_reconnect=False, connect_timeout=1)
            except (OSError, nats.errors.Error):
                return False
            await client.close()
            return True

        await eventually(works)
        await eventually(lambda: "nats-server (process" in mesh.log)
        assert await mesh.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_before_it_is_ready_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(*MESH, "up", "--port", "0", "--nats-port", "0", "--data-dir", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await eventually((tmp_path / "nats-server.lock").exists)
    process.send_signal(number)
    async with within(15):
        out, err = await process.communicate()
    assert (process.returncode in {0, 128 + number}, err) == (True, b""), (process.returncode, out)
    async with within(8), await NatsServer.start(tmp_path, port=0):
        pass


@pytest.mark.promise("P-DRAIN-1")
async def test_a_stop_sends_the_sockets_away_first(tmp_path: Path) -> None:
    async with (
        RunningMesh(tmp_path) as mesh,
        connect(mesh.url.replace("http", "ws") + "/ws/events") as socket,
        within(),
    ):
        assert json.loads(await socket.recv())["event_type"] == "connection"
        stopping = asyncio.create_task(mesh.stop())
        kinds = [json.loads(frame)["event_type"] async for frame in still_coming(socket)]
        assert kinds[-1] == "reconnect"
        assert socket.close_code == 1012
        assert await stopping == 0
        assert mesh.log == ""


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with RunningMesh(tmp_path, MESH_DRAIN_S="600") as mesh, contextlib.AsyncExitStack() as stack, within():
        sockets = [await stack.enter_async_context(connect(everything(mesh))) for _ in range(20)]
        pid = mesh.pid
        stopping = asyncio.create_task(mesh.stop())
        await next(asyncio.as_completed([socket.wait_closed() for socket in sockets]))  # the first wave
        os.kill(pid, signal.SIGINT)
        assert await stopping == 128 + signal.SIGINT


async def test_up_uses_a_nats_that_is_given(nats_server: NatsServer, tmp_path: Path) -> None:
    async with RunningMesh(tmp_path, MESH_NATS_URL=nats_server.url) as mesh:
        assert mesh.nats_url == nats_server.url
        assert not mesh.data_dir.exists()
        assert await children_of(mesh.pid) == {}


# -- mesh api, mesh edge -------------------------------------------------------------------------------------------


async def test_api_and_edge_run_alone_on_a_nats(nats_server: NatsServer) -> None:
    processes = []
    try:
        for service in ("api", "edge"):
            process = await asyncio.create_subprocess_exec(
                *(*MESH, service, "--port", "0", "--nats-url", nats_server.url), stdout=asyncio.subprocess.PIPE
            )
            processes.append(process)
            assert process.stdout is not None
            async with within(20):
                line = (await process.stdout.readline()).decode()
            match = re.fullmatch(r"(API|edge) ready at (http://127\.0\.0\.1:\d+)\n", line)
            assert match is not None, line
            assert await asyncio.to_thread(status, f"{match[2]}/readyz") == 200
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
            await process.communicate()
    assert [process.returncode for process in processes] == [0, 0]


async def test_the_order_of_starts_does_not_matter(tmp_path: Path) -> None:
    async with await NatsServer.start(tmp_path, port=0) as server:
        port, url = server.port, server.url
    process = await asyncio.create_subprocess_exec(
        *(*MESH, "api", "--port", "0", "--nats-url", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with within(30):
            while b"is not ready yet" not in (line := await process.stderr.readline()):
                assert line
            async with await NatsServer.start(tmp_path, port=port):
                assert (await process.stdout.readline()).startswith(b"API ready at ")
                process.send_signal(signal.SIGTERM)
                await process.communicate()
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


# -- mesh tail, mesh emit ------------------------------------------------------------------------------------------


async def emit(nats_url: str, subject: str, *payloads: dict[str, Any]) -> list[str]:
    """Publish through the SDK; give the cursors."""
    async with Mesh.connect(nats_url) as sdk:
        return [(await sdk.publish(subject, payload)).cursor for payload in payloads]


async def test_what_is_emitted_is_seen(shared_mesh: RunningMesh) -> None:
    (before,) = await emit(shared_mesh.nats_url, "agent.emitted.activity", {"activity": 0})
    done = await asyncio.to_thread(
        mesh, "emit", "agent.emitted.activity", "-", "--nats-url", shared_mesh.nats_url, stdin='{"activity": 1}'
    )
    assert (done.returncode, done.stderr) == (0, "")
    async with tailing(shared_mesh.nats_url, "agent.emitted.>", "--json", "--since", before) as tail:
        event = await tail.event()
        assert (event["cursor"] + "\n", event["subject"]) == (done.stdout, "agent.emitted.activity")
        assert (event["payload"], event["source"]) == ({"activity": 1}, "mesh-emit")
        (live,) = await emit(shared_mesh.nats_url, "agent.emitted.activity", {"activity": 2})
        assert (await tail.event())["cursor"] == live
        tail.process.send_signal(signal.SIGINT)
        async with within():
            out, err = await tail.process.communicate()
    assert (tail.process.returncode, out, err) == (130, b"", b"")


async def test_hostile_texts_are_shown_as_text(shared_mesh: RunningMesh) -> None:
    before, _ = await emit(shared_mesh.nats_url, "agent.hostile.activity", {"activity": 0}, {"activity": HOSTILE})
    async with tailing(shared_mesh.nats_url, "agent.hostile.>", "--since", before) as tail:
        line = await tail.line()
    assert line.isprintable()
    assert "[red]x[/red] :smile:" in line


async def test_a_gap_is_told(shared_mesh: RunningMesh) -> None:
    (cursor,) = await emit(shared_mesh.nats_url, "agent.gap.activity", {"activity": 0})
    async with tailing(shared_mesh.nats_url, "agent.gap.>", "--json", "--since", "Szzzz-1") as tail:
        told = await tail.event()
    assert (told["event_type"], told["payload"]["from"], told["payload"]["reason"]) == ("gap", "Szzzz-1", "reset")
    assert told["payload"]["to"].partition("-")[0] == cursor.partition("-")[0]


@pytest.mark.nats_cli
@pytest.mark.promise("P-NATIVE-1")
async def test_what_the_nats_command_publishes_is_seen(shared_mesh: RunningMesh, nats_cli: Path) -> None:
    (before,) = await emit(shared_mesh.nats_url, "agent.native.activity", {"activity": 0})
    async with tailing(shared_mesh.nats_url, "agent.native.>", "--json", "--since", before) as tail:
        for body in ("plain text", '{"activity":{"state":"searching"}}'):
            publishing = await asyncio.create_subprocess_exec(
                *(nats_cli, "-s", shared_mesh.nats_url, "pub", "agent.native.activity", body),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            assert await publishing.wait() == 0
        event = await tail.event()
    assert (event["event_type"], event["payload"]) == ("agent.activity", {"activity": {"state": "searching"}})


async def test_tail_ends_with_whoever_reads_it(shared_mesh: RunningMesh) -> None:
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(*MESH, "tail", "--nats-url", shared_mesh.nats_url), stdout=writing, stderr=asyncio.subprocess.PIPE
    )
    os.close(writing)
    os.close(reading)
    with none_left(process.pid):
        async with within():
            _, said = await process.communicate()
    assert (process.returncode, said) == (141, b"")


def everything(mesh: RunningMesh) -> str:
    return f"{mesh.url.replace('http', 'ws')}/ws/events"


async def still_coming(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    """Give what a socket still receives until it is closed."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield await socket.recv()
