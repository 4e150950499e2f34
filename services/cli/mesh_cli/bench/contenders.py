"""Who does the same work: ours, the limit in C, a send loop in FastAPI, nats-server's own WebSocket, and Centrifugo."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec

from daena_mesh.embedded import NatsServer
from daena_mesh.nats_binary import find_binary
from daena_mesh.nats_config import NatsConfig, read_ports
from mesh_cli.bench.child import Child
from mesh_cli.bench.compiler import source
from mesh_cli.bench.harness import Bench, provision
from mesh_cli.bench.load import Guest
from mesh_cli.bench.machine import CannotBench
from mesh_cli.bench.publisher import SUBJECT
from mesh_cli.bench.work import OURS
from mesh_cli.listening import bind, until_ready

LIMIT = "limit"
NAIVE = "naive"
NATS = "nats-server"
CENTRIFUGO = "centrifugo"


def everybody() -> tuple[str, ...]:
    """All there are; Centrifugo is one of them where somebody has put its binary on the PATH."""
    return OURS, LIMIT, NAIVE, NATS, *((CENTRIFUGO,) if shutil.which(CENTRIFUGO) else ())


EVERYBODY = everybody()

_FOR_BENCHES = {"MESH_DRAIN_S": "0", "MESH_HANDSHAKES_PER_S": "100000"}
"""Thousands connect as fast as they can, and are not sent away politely at the end."""

_READY_WITHIN_S = 30.0
_POLL_S = 0.02

# Says which process the server is, and ends it with our standard input: the server itself does not look at its own.
_LIFELINE = '"$@" </dev/null >&2 & server=$!; echo $server; read -r _; kill -TERM $server; wait $server'
_WEBSOCKET = """
websocket {
    host: "127.0.0.1"
    port: -1
    no_tls: true
}
"""


class Running:
    """A contender that lets sockets in."""

    def __init__(self, name: str, child: Child, port: int, nats: tuple[int, int]) -> None:
        self.name = name
        self.child = child
        self.port = port
        """Where it lets sockets in."""
        self.nats_port, self.nats_pid = nats
        """Where to publish for it, and the process that listens there."""

    @property
    def load_arguments(self) -> list[str]:
        """What the load generator has to know to tell that a socket has joined."""
        if self.name == NATS:
            return ["--nats"]
        greeting = {OURS: '"recovered":true', CENTRIFUGO: '{"connect":'}.get(self.name)
        return ["--joined-by", greeting] if greeting else []

    def guest(self, agent: str, *, since: str = "", token: str = "", who: str = "") -> Guest:
        """Describe a socket that follows an agent, of ours from a cursor on, with a token, or as a user without one."""
        if self.name == NATS:
            return Guest("/", subject=f"live.agent.{agent}.>")
        if self.name == CENTRIFUGO:
            wish = msgspec.json.encode({"subs": {SUBJECT.format(agent=agent): {}}})
            return Guest(f"/connection/uni_websocket?cf_connect={quote(wish)}")
        query = urlencode({name: value for name, value in (("since", since), ("who", who)) if value})
        return Guest(f"/ws/agent/{agent}{query and '?'}{query}", protocol=f"mesh.v1, bearer.{token}" if token else "-")


@contextlib.asynccontextmanager
async def running(name: str, bench: Bench, **settings: str) -> AsyncIterator[Running]:
    """Give a contender with a NATS of its own, ready for sockets; ``settings`` are ours, such as ``MESH_DRAIN_S``."""
    if name == NATS:
        async with _nats_websocket(bench) as contender:
            yield contender
        return
    async with bench.mesh() as nats:
        if name == OURS:
            async with ours(bench, nats, **settings) as contender:
                yield contender
        else:
            async with {LIMIT: _limit, NAIVE: _naive, CENTRIFUGO: _centrifugo_of}[name](bench, nats) as contender:
                yield contender


class _Port(msgspec.Struct):
    port: int


@contextlib.asynccontextmanager
async def ours(bench: Bench, nats: NatsServer, **settings: str) -> AsyncIterator[Running]:
    """Give an edge as `mesh edge` starts it."""
    listener = bind("127.0.0.1", 0)
    try:
        descriptor = listener.socket.fileno()
        command = [sys.executable, "-m", "mesh_cli", "edge", "--inherit", str(descriptor), "--nats-url", nats.url]
        environ = {**_FOR_BENCHES, **settings}
        async with bench.start("edge", command, core=bench.cores.edge, environ=environ, pass_fds=[descriptor]) as child:
            try:
                await asyncio.wait_for(until_ready(listener), _READY_WITHIN_S)
            except TimeoutError:
                raise child.failure("it does not get ready") from None
            yield Running(OURS, child, listener.port, (nats.port, nats.pid))
    finally:
        listener.socket.close()


@contextlib.asynccontextmanager
async def _limit(bench: Bench, nats: NatsServer) -> AsyncIterator[Running]:
    program = await bench.program("limit")
    async with bench.start("limit", [program, str(nats.port)], core=bench.cores.edge) as child:
        yield Running(LIMIT, child, (await child.answer(_Port)).port, (nats.port, nats.pid))


@contextlib.asynccontextmanager
async def _naive(bench: Bench, nats: NatsServer) -> AsyncIterator[Running]:
    command = [sys.executable, str(source("naive.py")), nats.url]
    async with bench.start("naive", command, core=bench.cores.edge) as child:
        yield Running(NAIVE, child, (await child.answer(_Port)).port, (nats.port, nats.pid))


@contextlib.asynccontextmanager
async def _nats_websocket(bench: Bench) -> AsyncIterator[Running]:
    """Give a nats-server under test: it holds the log as well, so that is in its figures."""
    folder = bench.path("nats-websocket")
    config = NatsConfig(data_dir=folder, host="127.0.0.1", port=0, log_path=folder / "log")
    config.ports_dir.mkdir(parents=True)
    config.path.write_text(config.render() + _WEBSOCKET, encoding="utf-8")
    command = ["/bin/sh", "-c", _LIFELINE, "nats-server", str(find_binary()), "-c", str(config.path)]
    async with bench.start("nats-server", command, core=bench.cores.edge) as child:
        child.log = config.log_path
        child.pid = await child.answer(int)
        async with asyncio.timeout(_READY_WITHIN_S):
            while (ports := read_ports(config.ports_dir)) is None:  # noqa: ASYNC110 - the news is in a file
                await asyncio.sleep(_POLL_S)
        await provision(f"nats://127.0.0.1:{ports.port}")
        yield Running(NATS, child, _websocket_port(config.ports_dir), (ports.port, ports.pid))


@contextlib.asynccontextmanager
async def _centrifugo_of(bench: Bench, nats: NatsServer) -> AsyncIterator[Running]:
    """Give a Centrifugo 6 that takes the same messages from NATS, as they are, to clients that only read."""
    with bind("127.0.0.1", 0).socket as free:
        port = int(free.getsockname()[1])
    settings = {
        "http_server": {"address": "127.0.0.1", "port": port},
        "client": {"insecure": True, "allowed_origins": ["*"]},
        "uni_websocket": {"enabled": True},
        "channel": {"without_namespace": {"allow_subscribe_for_client": True}},
        "broker": {
            "enabled": True,
            "type": "nats",
            "nats": {"url": nats.url, "raw_mode": {"enabled": True, "prefix": "live."}},
        },
        "log": {"level": "error"},
    }
    path = bench.path("centrifugo.json")
    path.write_bytes(msgspec.json.encode(settings))
    command = ["/bin/sh", "-c", _LIFELINE, CENTRIFUGO, CENTRIFUGO, "--config", str(path)]
    async with bench.start(CENTRIFUGO, command, core=bench.cores.edge) as child:
        child.pid = await child.answer(int)
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                while not await _listens(port):  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise child.failure("it does not get ready") from None
        yield Running(CENTRIFUGO, child, port, (nats.port, nats.pid))


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _websocket_port(folder: Path) -> int:
    for path in folder.glob("*.ports"):
        listed: dict[str, list[str]] = msgspec.json.decode(path.read_bytes())
        if urls := listed.get("websocket"):
            return int(urls[0].rpartition(":")[2])
    raise CannotBench("nats-server does not say where its WebSocket is")
