from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import urllib.request
from pathlib import Path
from typing import Any

import nats
import pytest

from daena_mesh.embedded import NatsServer
from daena_mesh.errors import NatsServerError
from daena_mesh.local import forget_running, note_running
from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings
from tests.support.deadlines import eventually, within


def monitoring(server: NatsServer, page: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server.monitoring_url}/{page}", timeout=5) as answer:
        return json.load(answer)  # type: ignore[no-any-return]


async def test_is_ready_when_start_returns(tmp_path: Path) -> None:
    async with within(1), await NatsServer.start(tmp_path, port=0) as server:
        client = await nats.connect(server.url, allow_reconnect=False)
        info = await client.jetstream().account_info()
        await client.close()
        assert info.streams == 0


@pytest.mark.promise("P-STORE-1")
async def test_an_acknowledged_record_is_on_the_disk(nats_server: NatsServer) -> None:
    varz = monitoring(nats_server, "varz")
    assert varz["jetstream"]["config"]["sync_always"] is True
    assert varz["host"] == "127.0.0.1"
    assert varz["http_host"] == "127.0.0.1"


async def test_data_survives_stop_and_start(tmp_path: Path) -> None:
    async with await NatsServer.start(tmp_path, port=0) as server:
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
        await client.jetstream().publish("kept.one", b"1")
        await client.close()
        port = server.port
    async with await NatsServer.start(tmp_path, port=port) as server:
        assert server.port == port
        client = await nats.connect(server.url)
        stored = await client.jetstream().get_last_msg("KEPT", "kept.one")
        await client.close()
        assert stored.data == b"1"


async def test_stop_ends_the_process_and_may_be_called_twice(tmp_path: Path) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    await server.stop()
    await server.stop()
    assert await server.wait() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


@pytest.mark.promise("P-SERVER-2")
async def test_a_second_start_on_the_same_directory_is_refused_and_names_the_holder(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    with pytest.raises(NatsServerError, match=rf"in use by process {os.getpid()}: .*--data-dir"):
        await NatsServer.start(tmp_path / "nats", port=0)


async def test_a_taken_port_is_refused_and_names_the_flag(nats_server: NatsServer, tmp_path: Path) -> None:
    with pytest.raises(NatsServerError, match=rf"port {nats_server.port} on 127.0.0.1 is taken.*--nats-port"):
        await NatsServer.start(tmp_path / "other", port=nats_server.port)
    async with await NatsServer.start(tmp_path / "other", port=0) as other:
        assert other.port != nats_server.port


async def test_a_server_that_dies_at_its_start_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "jetstream").write_text("in the way")
    with pytest.raises(NatsServerError, match=r"ended at its start: .*FTL.*JetStream.*nats-server\.log"):
        await NatsServer.start(tmp_path, port=0)


async def test_an_unusable_data_directory_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NatsServerError, match=r"the data directory .*file/below cannot be used"):
        await NatsServer.start(tmp_path / "file" / "below", port=0)


@pytest.mark.parametrize("name", ['quote"and\\backslash', "white space", "ünïcode 网", "dollar$HOME"])
async def test_any_directory_name_works(tmp_path: Path, name: str) -> None:
    async with await NatsServer.start(tmp_path / name, port=0):
        assert (tmp_path / name / "jetstream").is_dir()


async def test_the_data_directory_is_for_its_owner_alone_and_the_log_is_readable(
    nats_server: NatsServer,
) -> None:
    mode = stat.S_IMODE(nats_server.log_path.parent.stat().st_mode)
    assert mode == 0o700
    assert "Server is ready" in nats_server.log_path.read_text()


async def test_kill_is_noticed_and_the_directory_is_free_again(tmp_path: Path) -> None:
    server = await NatsServer.start(tmp_path, port=0)
    server.kill()
    async with within(5):
        assert await server.wait() == -signal.SIGKILL
    async with await NatsServer.start(tmp_path, port=server.port) as again:
        assert again.pid != server.pid


async def test_a_frozen_server_is_stopped_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daena_mesh.embedded.STOP_DEADLINE_S", 0.2)
    server = await NatsServer.start(tmp_path, port=0)
    os.kill(server.pid, signal.SIGSTOP)
    async with within(5):
        await server.stop()
        assert await server.wait() == -signal.SIGKILL


async def test_a_cancelled_start_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daena_mesh.embedded.read_ports", lambda _directory: None)
    starting = asyncio.ensure_future(NatsServer.start(tmp_path, port=0))
    await eventually(lambda: list((tmp_path / "run").glob("*.ports")))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    monkeypatch.undo()
    async with within(5), await NatsServer.start(tmp_path, port=0):
        pass


async def test_who_is_told_of_no_server_finds_a_mesh_that_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for variable in ("MESH_NATS_URL", "MESH_NATS_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    mesh = Mesh(MeshSettings(), name="early", provisions=True)
    mesh.start()
    try:
        await eventually(lambda: mesh.connection.state == "degraded")
        async with await NatsServer.start(tmp_path / "nats", port=0) as server:
            note_running(server.url)
            try:
                await mesh.connection.wait_ready(10)
                assert (await mesh.chat("s1").send("found", sender="u")).cursor
            finally:
                forget_running()
    finally:
        await mesh.close()
