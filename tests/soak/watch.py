"""What a service holds, seen from outside: memory, descriptors, tasks; and NATS for it: subscriptions, consumers."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx

from mesh_cli.bench.machine import private_bytes

_tasks = re.compile(r"^mesh_(?:edge|api)_tasks(?:\{[^}]*\})? (\d+)", re.MULTILINE)


class Service(NamedTuple):
    """A process of the mesh."""

    name: str
    pid: int
    url: str


class Held(NamedTuple):
    """What has to be given back."""

    descriptors: int
    tasks: int
    subscriptions: int

    def __str__(self) -> str:
        return f"{self.descriptors} descriptors, {self.tasks} tasks, {self.subscriptions} subscriptions"

    def exceeds(self, other: Held) -> bool:
        """Whether any of it is more than in ``other``."""
        return any(mine > its for mine, its in zip(self, other, strict=True))


async def held(service: Service, http: httpx.AsyncClient, monitoring_url: str) -> Held:
    """What it holds now."""
    descriptors = sum(1 for _ in Path(f"/proc/{service.pid}/fd").iterdir())
    tasks = _tasks.search((await http.get(f"{service.url}/metrics")).text)
    assert tasks, f"{service.name} does not tell its tasks"
    listed = (await http.get(f"{monitoring_url}/connz?subs=1&limit=10000")).json()["connections"]
    own = [one for one in listed if one.get("name", "").startswith(f"mesh-{service.name}")]
    assert own, [one.get("name") for one in listed]
    return Held(descriptors, int(tasks[1]), sum(one["subscriptions"] for one in own))


async def consumers(http: httpx.AsyncClient, monitoring_url: str) -> int:
    """How many there are of all streams."""
    found: int = (await http.get(f"{monitoring_url}/jsz")).json()["consumers"]
    return found


class Sample(NamedTuple):
    """Memory of all services at a moment, in bytes, in their order."""

    at: float
    private: tuple[int, ...]


def sample(at: float, services: list[Service]) -> Sample:
    """Look now."""
    return Sample(at, tuple(private_bytes(service.pid) for service in services))


def middles(samples: list[Sample], number: int, settled: float, window: float) -> tuple[float, float]:
    """The middle of a service's memory in a window of time where it had settled, and in the last one."""
    end = samples[-1].at
    first = [one.private[number] for one in samples if settled <= one.at <= settled + window]
    last = [one.private[number] for one in samples if end - window <= one.at]
    return median(first), median(last)
