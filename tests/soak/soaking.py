"""A soak: a mesh under clients that come and go and publishers of all kinds, for a while, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from daena_mesh.embedded import NatsServer
from tests.soak.api_command import api_command
from tests.soak.guests import Guests
from tests.soak.load import AGENTS, SESSIONS, Load
from tests.soak.watch import Held, Sample, Service, consumers, held, middles, sample
from tests.support.deadlines import eventually
from tests.support.edge_command import edge_command

_LOOK_S = 5.0
_PROBE_S = 8.0
_QUIET_S = 10.0
_BACK_WITHIN_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How much of everything.

    Attributes:
        seconds: how long clients and publishers are there.
        settled: from which second on memory may not grow.
        window: of how many seconds the middle is taken, at that point and at the end.
        most: by which part memory may grow.
        clients: how many are there at a time.
        churn: how many of them a second are cut off, begin anew, or stop reading for a while.
        rate: messages a second of programs; of the other kinds there is a tenth or less.
    """

    seconds: float = 600
    settled: float = 180
    window: float = 60
    most: float = 0.02
    clients: int = 2_000
    churn: float = 50
    rate: float = 40


@dataclass
class Outcome:
    """What came of it."""

    amounts: Amounts
    names: list[str]
    samples: list[Sample]
    before: list[Held]
    after: list[Held]
    consumers: tuple[int, int]
    came: int
    shown: int
    refused: int
    closed: Counter[int]
    done: Counter[str]
    machine_load: float
    cores: int

    @property
    def growths(self) -> list[float]:
        """By which part each service grew."""
        return [last / first - 1 for first, last in map(self.ends, range(len(self.names)))]

    def ends(self, number: int) -> tuple[float, float]:
        """The memory of a service when it had settled, and at the end."""
        return middles(self.samples, number, self.amounts.settled, self.amounts.window)

    @property
    def failures(self) -> list[str]:
        """What is not as it has to be."""
        found = [
            f"{name} grew by {part:.1%}"
            for name, part in zip(self.names, self.growths, strict=True)
            if part > self.amounts.most
        ]
        for name, before, after in zip(self.names, self.before, self.after, strict=True):
            if after.exceeds(before):
                found.append(f"{name} had {before}, and has {after}")
        if self.consumers[1] > self.consumers[0]:
            found.append(f"there were {self.consumers[0]} consumers, and are {self.consumers[1]}")
        return found


def _paths(clients: int) -> list[str]:
    """Every tenth an event stream, one of fifty on everything, one of ten on an agent, the others in chats."""
    paths = []
    for number in range(clients):
        kind = "/sse" if number % 10 == 3 else "/ws"
        if number % 50 == 7:
            paths.append(f"{kind}/events?who=w{number}")
        elif number % 10 == 5:
            paths.append(f"{kind}/agent/a{number % AGENTS}")
        else:
            paths.append(f"{kind}/chat/s{number % SESSIONS}")
    return paths


async def soak(folder: Path, amounts: Amounts, tell: Callable[[str], None]) -> Outcome:
    """Do all of it."""
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(await NatsServer.start(folder / "nats", port=0))
        api = await stack.enter_async_context(api_command(nats.url, folder))
        edge = await stack.enter_async_context(edge_command(nats.url, folder=folder))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30))
        services = [Service("edge", edge.process.pid, edge.url), Service("api", api.pid, api.url)]
        url = nats.monitoring_url

        async def all_held() -> list[Held]:
            return [await held(service, http, url) for service in services]

        # What is made once, at the first use, is part of the baseline: a short visit of everybody.
        probe = Amounts(seconds=_PROBE_S, clients=min(100, amounts.clients), churn=10, rate=amounts.rate)
        await _visit(probe, nats.url, services, [])
        await eventually(lambda: _nobody(http, edge.url), within_s=60)
        before, held_by_nats = await _settled(all_held, http, url)
        tell(f"before: {', '.join(f'{s.name} {h}' for s, h in zip(services, before, strict=True))}")
        samples: list[Sample] = []
        guests, load = await _visit(amounts, nats.url, services, samples, tell)
        machine_load = os.getloadavg()[0]
        after = list(before)
        left = held_by_nats

        async def is_back() -> bool:
            nonlocal after, left
            after, left = await all_held(), await consumers(http, url)
            await asyncio.sleep(0.5)
            return left <= held_by_nats and not any(a.exceeds(b) for a, b in zip(after, before, strict=True))

        try:
            await eventually(is_back, within_s=_BACK_WITHIN_S)
        except AssertionError:
            tell("not everything was given back")
        tell(f"after: {', '.join(f'{s.name} {h}' for s, h in zip(services, after, strict=True))}")
    came, shown = guests.tally()
    names = [service.name for service in services]
    return Outcome(
        amounts, names, samples, before, after, (held_by_nats, left), came, shown, guests.refused, guests.closed,
        load.done, machine_load, os.cpu_count() or 1,
    )  # fmt: skip


async def _visit(
    amounts: Amounts,
    nats_url: str,
    services: list[Service],
    samples: list[Sample],
    tell: Callable[[str], None] | None = None,
) -> tuple[Guests, Load]:
    """Clients and publishers are there for a while, and go."""
    edge, api = services
    guests = Guests(int(edge.url.rpartition(":")[2]), _paths(amounts.clients), seed=1)
    load = Load(nats_url, api.url, amounts.rate)
    churning: asyncio.Task[None] | None = None
    try:
        async with load.run():
            begun = time.monotonic()
            await guests.come()
            await guests.warm_up()
            churning = asyncio.create_task(guests.churn(amounts.churn))
            while (at := time.monotonic() - begun) < amounts.seconds:
                samples.append(sample(at, services))
                if tell is not None and len(samples) % 12 == 1:
                    each = ", ".join(
                        f"{service.name} {private / 1_048_576:.1f} MiB"
                        for service, private in zip(services, samples[-1].private, strict=True)
                    )
                    came, shown = guests.tally()
                    tell(f"{each}; came {came:,} times, shown {shown:,}, load {os.getloadavg()[0]:.0f}")
                await asyncio.sleep(_LOOK_S)
                assert not churning.done(), churning.exception()
    finally:
        if churning is not None:
            churning.cancel()
        guests.disperse()
    return guests, load


async def _nobody(http: httpx.AsyncClient, edge_url: str) -> bool:
    found: int = (await http.get(f"{edge_url}/edge/connections")).json()["count"]
    return found == 0


async def _settled(
    all_held: Callable[[], Awaitable[list[Held]]], http: httpx.AsyncClient, url: str
) -> tuple[list[Held], int]:
    """What is held once that does not become less any more, for ten seconds."""
    least, since = (await all_held(), await consumers(http, url)), time.monotonic()
    begun = since
    while time.monotonic() - since < _QUIET_S and time.monotonic() - begun < _BACK_WITHIN_S:
        await asyncio.sleep(0.5)
        now = (await all_held(), await consumers(http, url))
        if now != least:
            least, since = now, time.monotonic()
    return least
