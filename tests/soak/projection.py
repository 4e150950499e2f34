"""How long an API takes until it knows very many sessions, and the memory of each.

python -m tests.soak.projection [--sessions 100000] [--messages 100000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from daena_mesh.events import Session
from daena_mesh.ids import now, uuid7
from mesh_cli.bench.machine import cpu_ns, private_bytes
from tests.soak.api_command import api_command
from tests.support.deadlines import eventually

READY_WITHIN_S, BYTES_A_SESSION = 10.0, 1_024
_AT_ONCE = 500
_known = re.compile(r"^mesh_api_sessions (\d+)", re.MULTILINE)


class Started(NamedTuple):
    """An API that has just become ready."""

    seconds: float
    """From the start of its process, interpreter and imports included."""
    cpu_seconds: float
    """What its process took of that; on a machine that others use, the rest was theirs, or waiting for NATS."""
    sessions: int
    private: int


class Found(NamedTuple):
    """What came of it."""

    sessions: int
    empty: Started
    full: Started
    load: float
    """How many processes wanted to run meanwhile."""

    @property
    def bytes_each(self) -> float:
        """Private memory of a session."""
        return (self.full.private - self.empty.private) / self.sessions


async def measure(folder: Path, sessions: int, messages: int) -> Found:
    """Start an API on a mesh without sessions, and one on the same with ``sessions``, of which some have a message."""
    async with await NatsServer.start(folder / "nats", port=0, is_durable=False) as nats:
        await _started(nats.url, folder)  # which makes the streams
        empty = await _started(nats.url, folder)
        async with Mesh.connect(nats.url, name="filler") as mesh:
            await _fill(mesh, sessions, messages)
        full = await _started(nats.url, folder)
    return Found(sessions, empty, full, os.getloadavg()[0])


async def _started(nats_url: str, folder: Path) -> Started:
    begun = time.monotonic()
    async with api_command(nats_url, folder) as api, httpx.AsyncClient(base_url=api.url, timeout=30) as http:

        async def is_ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await eventually(is_ready, within_s=120)
        seconds, spent = time.monotonic() - begun, cpu_ns(api.pid) / 1e9
        known = _known.search((await http.get("/metrics")).text)
        assert known
        return Started(seconds, spent, int(known[1]), private_bytes(api.pid))


async def _fill(mesh: Mesh, sessions: int, messages: int) -> None:
    """Store them as the API does, but without waiting for each."""
    for number in range(sessions):
        name, at = f"session-{number:08d}", now()
        session = Session(
            session_id=name,
            title=f"What came of question {number}",
            created_at=at,
            updated_at=at,
            created_by=f"user-{number % 1_000}",
        )
        created = {"session_id": name, "title": session.title, "session": msgspec.to_builtins(session)}
        await _store(mesh, f"session.{name}.created", created, waits=number % _AT_ONCE == 0 or number == sessions - 1)
    for number in range(messages):
        name = f"session-{number:08d}"
        said = {"session_id": name, "sender": f"user-{number % 1_000}", "content": f"Who knows the answer to {number}?"}
        await _store(mesh, f"chat.{name}.message", said, waits=number % _AT_ONCE == 0 or number == messages - 1)


async def _store(mesh: Mesh, subject: str, payload: dict[str, Any], *, waits: bool) -> None:
    body = mesh.encode(subject, payload, uuid7())
    if waits:  # what was published before it is stored, too, when it is acknowledged
        reply = await mesh.connection.request(subject, body, timeout_s=60)
        assert "seq" in msgspec.json.decode(reply.body), reply.body
    else:
        mesh.connection.publish(subject, body)


def main() -> int:
    """Measure, tell, and say whether it is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.projection", description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=100_000, help="how many of them have one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mesh-projection-") as folder:
        found = asyncio.run(measure(Path(folder), options.sessions, min(options.messages, options.sessions)))
    for started in (found.empty, found.full):
        print(
            f"{started.sessions:,} sessions: ready in {started.seconds:.1f} s, {started.cpu_seconds:.1f} s of a core; "
            f"{started.private / 1_048_576:.1f} MiB"
        )
    print(f"{found.bytes_each:,.0f} bytes each; load {found.load:.1f}")
    is_well = found.full.seconds <= READY_WITHIN_S and found.bytes_each <= BYTES_A_SESSION
    return 0 if is_well and found.full.sessions == found.sessions else 1


if __name__ == "__main__":
    sys.exit(main())
