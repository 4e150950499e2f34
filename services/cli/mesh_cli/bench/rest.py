"""`rest`: chat calls a second, beside a FastAPI application that does nothing, and beside two bare appends.

A chat call stores a message and puts a question. With nats-server's default of syncing every two minutes it is the
API's own work that counts, so it stands beside a bare FastAPI POST; with sync always, as `mesh up` has it, beside one
`js.publish` after the other by nats-py, with as many under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NamedTuple

import msgspec

from daena_mesh.nats_binary import find_binary
from daena_mesh.nats_config import NatsConfig, read_ports
from mesh_cli.bench.callers import Called
from mesh_cli.bench.child import Child
from mesh_cli.bench.compiler import source
from mesh_cli.bench.emitter import Emitted
from mesh_cli.bench.harness import Bench, provision
from mesh_cli.bench.machine import CannotBench
from mesh_cli.bench.work import OURS, Figure, Target, Work
from mesh_cli.listening import bind, until_ready

BARE = "bare"
DEFAULT, ALWAYS = "default sync", "sync always"
CALLERS = 32
_PATH = "/api/v1/daena/chat"
_SESSION = "bench"
_BODY = f'{{"message":"Hello! How far is the search for a better title?","session_id":"{_SESSION}","sender":"user"}}'
_TWO_APPENDS = f"chat.{_SESSION}.message,ask.daena.bench"
_CALLS = {DEFAULT: 6_000, ALWAYS: 3_000}
_WARM_UP = 200
_SLICES = 5
"""Both take turns within a round, so that what else the machine does is the same to them."""
_READY_WITHIN_S = 30.0
_POLL_S = 0.02
_LIFELINE = '"$@" </dev/null >&2 & server=$!; read -r _; kill -TERM $server; wait $server'


class _Port(msgspec.Struct):
    port: int


class Slice(NamedTuple):
    """A part of a round."""

    rate: float
    cpu_us: float
    """Of the process under test, for each call."""
    middle_ms: float


class Contender:
    """Who is called, and by whom."""

    def __init__(self, name: str, server: Child, callers: Child) -> None:
        self.name = name
        self._server = server
        self._callers = callers

    async def take(self, count: int) -> Slice:
        """Answer ``count`` calls; raises `CannotBench` where one is refused."""
        cpu_ns = self._server.cpu_ns()
        self._callers.say(f"call {count} {CALLERS}")
        called = await self._callers.answer(Called)
        if called.refused:
            raise CannotBench(f"{self.name} refused {called.refused} of {count} calls")
        return Slice(count / called.seconds, (self._server.cpu_ns() - cpu_ns) / count / 1e3, called.middle_ms)


class Appends:
    """One after the other, by nats-py."""

    def __init__(self, child: Child) -> None:
        self._child = child

    async def take(self, count: int) -> Slice:
        """Append ``count`` times to each of two streams."""
        self._child.say(f"emit {_TWO_APPENDS} {count} {CALLERS}")
        emitted = await self._child.answer(Emitted)
        return Slice(count / emitted.seconds, emitted.cpu_seconds / count * 1e6, emitted.middle_ms)


async def _run(bench: Bench) -> list[Figure]:
    figures = []
    for sync in (DEFAULT, ALWAYS):
        async with AsyncExitStack() as stack:
            contenders: dict[str, Contender | Appends] = {}
            nats_url = await stack.enter_async_context(default_sync(bench) if sync == DEFAULT else _always(bench))
            if bench.wants(OURS):
                contenders[OURS] = await stack.enter_async_context(api(bench, nats_url))
            if bench.wants(BARE):
                bare = _bare(bench) if sync == DEFAULT else _appends(bench, nats_url)
                contenders[BARE] = await stack.enter_async_context(bare)
            bench.tell(f"rest: {sync}")
            taken: dict[str, list[Slice]] = {name: [] for name in contenders}
            for number in range(_SLICES + 1):
                for name, contender in contenders.items():
                    one = await contender.take(
                        bench.sized(_CALLS[sync] / _SLICES, least=CALLERS) if number else bench.sized(_WARM_UP)
                    )
                    taken[name] += [one] if number else []
        for name, slices in taken.items():
            rate, cpu, wait = (statistics.median(value) for value in zip(*slices, strict=True))
            figures += [
                Figure(contender=name, measure=sync, value=rate, unit="/s"),
                Figure(contender=name, measure=f"{sync}: CPU a call", value=cpu, unit="µs"),
                Figure(contender=name, measure=f"{sync}: p50", value=wait, unit="ms"),
            ]
    return figures


@contextlib.asynccontextmanager
async def _always(bench: Bench) -> AsyncIterator[str]:
    async with bench.mesh() as nats:
        yield nats.url


@contextlib.asynccontextmanager
async def default_sync(bench: Bench) -> AsyncIterator[str]:
    """Give a nats-server that syncs every two minutes, which is its default."""
    folder = bench.path("nats-default-sync")
    config = NatsConfig(data_dir=folder, host="127.0.0.1", port=0, log_path=folder / "log")
    config.ports_dir.mkdir(parents=True)
    config.path.write_text(config.render().replace("sync_interval: always", ""), encoding="utf-8")
    command = ["/bin/sh", "-c", _LIFELINE, "nats-server", str(find_binary()), "-c", str(config.path)]
    async with bench.start("nats-server", command, core=bench.cores.load) as child:
        child.log = config.log_path
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                while (ports := read_ports(config.ports_dir)) is None:  # noqa: ASYNC110 - the news is in a file
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise child.failure("it does not get ready") from None
        url = f"nats://127.0.0.1:{ports.port}"
        await provision(url)
        yield url


@contextlib.asynccontextmanager
async def _called(bench: Bench, name: str, server: Child, port: int, token: str = "") -> AsyncIterator[Contender]:
    command = [sys.executable, "-m", "mesh_cli.bench.callers", str(port), _PATH, _BODY, *([token] if token else [])]
    async with bench.start("callers", command, core=bench.cores.load) as callers:
        yield Contender(name, server, callers)


@contextlib.asynccontextmanager
async def api(bench: Bench, nats_url: str, *, token: str = "", **settings: str) -> AsyncIterator[Contender]:
    """Give an API with its callers, who show ``token``; ``settings`` are variables of its environment."""
    listener = bind("127.0.0.1", 0)
    try:
        descriptor = listener.socket.fileno()
        command = [sys.executable, "-m", "mesh_cli.bench.api", str(descriptor), nats_url]
        async with bench.start("api", command, core=bench.cores.edge, environ=settings, pass_fds=[descriptor]) as child:
            try:
                await asyncio.wait_for(until_ready(listener), _READY_WITHIN_S)
            except TimeoutError:
                raise child.failure("it does not get ready") from None
            async with _called(bench, OURS, child, listener.port, token) as contender:
                yield contender
    finally:
        listener.socket.close()


@contextlib.asynccontextmanager
async def _bare(bench: Bench) -> AsyncIterator[Contender]:
    async with bench.start("bare", [sys.executable, str(source("bare.py"))], core=bench.cores.edge) as child:
        port = (await child.answer(_Port)).port
        async with _called(bench, BARE, child, port) as contender:
            yield contender


@contextlib.asynccontextmanager
async def _appends(bench: Bench, nats_url: str) -> AsyncIterator[Appends]:
    command = [sys.executable, "-m", "mesh_cli.bench.emitter", "nats-py", nats_url]
    async with bench.start("appends", command, core=bench.cores.edge) as child:
        yield Appends(child)


WORK = Work(
    name="rest",
    about="Chat calls a second; bare is a FastAPI POST that does nothing, and two appends by nats-py.",
    contenders=(OURS, BARE),
    baseline=BARE,
    run=_run,
    targets=(
        Target(measure=DEFAULT, at_least=0.6, times_baseline=True),
        Target(measure=ALWAYS, at_least=0.6, times_baseline=True),
    ),
)
