"""A clock that is set while an edge runs: how long a socket was silent is no matter of the time of day."""

from __future__ import annotations

from pathlib import Path

import pytest

from daena_mesh.embedded import NatsServer
from tests.chaos.clocks import can_step_clocks, step
from tests.support.deadlines import within
from tests.support.edge import provisioned_mesh
from tests.support.edge_command import edge_command
from tests.support.ws_client import RawClient, masked

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not can_step_clocks(), reason="clocks are stepped on Linux and x86-64 alone"),
]

PING, PONG = 9, 0x8A


async def ping(client: RawClient) -> None:
    """Wait for the edge to ask whether the client is alive, and say so. EOFError where it ends the connection."""
    asked = False
    while not asked:
        for opcode, payload in await client.read():
            if opcode == PING:
                client.sock.send(masked(PONG, payload))
                asked = True


@pytest.mark.parametrize("seconds", [3_600, -3_600])
async def test_no_socket_ends_when_the_clock_is_set(nats_server: NatsServer, tmp_path: Path, seconds: int) -> None:
    async with (
        provisioned_mesh(nats_server.url),
        edge_command(nats_server.url, folder=tmp_path, keepalive_s=1, stuck_s=2) as edge,
        within(60),
    ):
        client = await RawClient.connect(edge.port, "/ws/council")
        try:
            await ping(client)
            for ahead in (seconds, 0):
                step(edge.process.pid, ahead)
                for _ in range(3):
                    await ping(client)
        finally:
            client.sock.close()
