"""An emitter for benches: events that are acknowledged, through the SDK or through nats-py alone.

Run as a program it connects to NATS, takes commands as lines on standard input, answers each with a JSON object on a
line, and ends with its standard input::

    python -m mesh_cli.bench.emitter ours|bare NATS_URL

    emit SUBJECTS COUNT IN_FLIGHT   COUNT times: emit to SUBJECTS (separated by commas) in turn, each acknowledged
                                    before the next; with IN_FLIGHT of these under way at a time

Both send the same payload. nats-py is given a body that was encoded before, and no headers: what is measured is what
the SDK adds to a bare `js.publish`, the encoding, the checks, the id and the deduplication among it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import nats

from daena_mesh import codec
from daena_mesh.ids import now, uuid7
from daena_mesh.mesh import Mesh
from daena_mesh.subjects import event_type_of

OURS = "ours"
_PAYLOAD = {"agent_id": "bench", "activity": {"state": "searching", "query": "nats jetstream", "step": 3, "of": 12}}

Publish = Callable[[str], Awaitable[object]]


class Emitted(msgspec.Struct, kw_only=True):
    """What came of one ``emit``."""

    seconds: float
    cpu_seconds: float
    """Of this process, user and system."""
    middle_ms: float
    """The median from the call to its acknowledgement."""


async def _emit(publish: Publish, subjects: list[str], count: int, in_flight: int) -> Emitted:
    waits: list[float] = []
    numbers = iter(range(count))

    async def one_after_another() -> None:
        for _ in numbers:
            at = time.perf_counter()
            for subject in subjects:
                await publish(subject)
            waits.append(time.perf_counter() - at)

    began, began_cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one_after_another() for _ in range(in_flight)))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    return Emitted(seconds=seconds, cpu_seconds=cpu_seconds, middle_ms=sorted(waits)[len(waits) // 2] * 1e3)


@asynccontextmanager
async def _ours(nats_url: str) -> AsyncIterator[Publish]:
    async with Mesh.connect(nats_url, name="bench") as mesh:
        yield lambda subject: mesh.publish(subject, _PAYLOAD)


@asynccontextmanager
async def _bare(nats_url: str) -> AsyncIterator[Publish]:
    client = await nats.connect(nats_url, name="bench")
    js = client.jetstream()
    bodies: dict[str, bytes] = {}

    def publish(subject: str) -> Awaitable[object]:
        if (body := bodies.get(subject)) is None:
            kind = event_type_of(subject)
            body = bodies[subject] = codec.encode(kind, _PAYLOAD, event_id=uuid7(), timestamp=now(), source="bench")
        return js.publish(subject, body)

    try:
        yield publish
    finally:
        await client.close()


async def _obey(kind: str, nats_url: str) -> None:
    """Obey until standard input ends."""
    async with (_ours if kind == OURS else _bare)(nats_url) as publish:
        while line := await asyncio.to_thread(sys.stdin.readline):
            _verb, subjects, count, in_flight = line.split()
            result = await _emit(publish, subjects.split(","), int(count), int(in_flight))
            sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(_obey(sys.argv[1], sys.argv[2]))
