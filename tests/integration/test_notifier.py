"""What systemd is told by services that it runs: by the process that it started alone, as its datagrams show."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daena_mesh.embedded import NatsServer
from mesh_cli.notifier import Notifier
from tests.support.deadlines import within
from tests.support.edge_command import edge_command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is of Linux")
BEAT_US = "200000"


class Systemd:
    """Hears datagrams, and from which process they are, which the kernel says."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.settimeout(20)
        self._socket.bind(str(path))

    def told(self) -> tuple[str, int]:
        """The next one: what it says, and who."""
        text, ancillary, _, _ = self._socket.recvmsg(200, 200)
        ((_, _, credentials),) = ancillary
        return text.decode(), struct.unpack("3i", credentials)[0]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", BEAT_US)
    systemd = Systemd(tmp_path / "notify")
    yield systemd
    systemd.close()


@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_service_says_that_it_has_started_lives_and_stops(
    systemd: Systemd, workers: str, shared_nats: NatsServer, tmp_path: Path
) -> None:
    async with within(60), edge_command(shared_nats.url, "--workers", workers, folder=tmp_path) as edge:
        pid = edge.process.pid
        first = [await asyncio.to_thread(systemd.told) for _ in range(4)]
        assert first == [("READY=1", pid), *[("WATCHDOG=1", pid)] * 3]
        assert await edge.end() == 0
        last = [("WATCHDOG=1", pid)]
        while last[-1] == ("WATCHDOG=1", pid):
            last.append(await asyncio.to_thread(systemd.told))
        assert last[-1] == ("STOPPING=1", pid)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WATCHDOG_USEC": BEAT_US, "WATCHDOG_PID": str(os.getpid())}, ["READY=1", "WATCHDOG=1", "STOPPING=1"]),
        ({"WATCHDOG_USEC": BEAT_US, "WATCHDOG_PID": str(os.getppid())}, ["READY=1", "STOPPING=1"]),
        ({"WATCHDOG_USEC": "often"}, ["READY=1", "STOPPING=1"]),
        ({}, ["READY=1", "STOPPING=1"]),
    ],
)
async def test_it_beats_where_that_is_wanted_of_this_process(
    systemd: Systemd, variables: dict[str, str], said: list[str], tmp_path: Path
) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), **variables, "OTHER": "1"}
    notifier = Notifier(environment)
    assert environment == {"OTHER": "1"}
    notifier.started()
    notifier.stopping()
    assert [systemd.told() for _ in said] == [(text, os.getpid()) for text in said]


async def test_without_systemd_nobody_is_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    Notifier({"WATCHDOG_USEC": BEAT_US}).started()
    assert not caplog.records
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).started()
    assert "systemd cannot be told READY=1" in caplog.text
