"""Looking at the mesh: its services answer for themselves, and JetStream for the streams.

One look serves everybody who asks within a second, and the one before it is kept, since rates need two.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any, NamedTuple

import msgspec

from daena_mesh.connection import Connection, Reply
from daena_mesh.errors import MeshUnavailable
from daena_mesh.jetstream import ApiReply, call
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import ASKS
from daena_mesh.shared_run import SharedRun

SERVICES = ("mesh-edge", "mesh-api", "mesh-brain")
_BUCKETS = ("KV_AGENTS", "KV_PRESENCE")
_MOST_MEMBERS = 500
_KEPT_S = 1.0
_WITHIN_S = 1.0
_SILENCE_S = 0.25
_INFO_S = 2.0
_FORGOTTEN_S = 60.0
_log = logging.getLogger(__name__)


class EndpointStats(msgspec.Struct, frozen=True):
    """What an endpoint of a service tells."""

    name: str
    num_requests: int = 0
    num_errors: int = 0
    average_processing_time: int = 0
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class Member(msgspec.Struct, frozen=True):
    """A process of the mesh, by its own word."""

    name: str
    id: str
    version: str = ""
    started: str = ""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    endpoints: tuple[EndpointStats, ...] = ()


class StreamState(msgspec.Struct, frozen=True):
    """What a stream holds."""

    messages: int = 0
    bytes: int = 0
    first_ts: str = ""
    last_ts: str = ""
    last_seq: int = 0
    consumer_count: int = 0
    num_subjects: int = 0


class StreamConfig(msgspec.Struct, frozen=True):
    """The limits of a stream: an age in nanoseconds, a size in bytes."""

    max_age: int = 0
    max_bytes: int = -1
    num_replicas: int = 1
    storage: str = ""


class Peer(msgspec.Struct, frozen=True):
    """A server that has a copy of a stream."""

    name: str
    current: bool = False
    offline: bool = False
    lag: int = 0


class Cluster(msgspec.Struct, frozen=True):
    """Who has a stream."""

    name: str = ""
    leader: str = ""
    replicas: tuple[Peer, ...] = ()


class StreamInfo(ApiReply):
    """A stream, as its leader tells."""

    config: StreamConfig = StreamConfig()
    state: StreamState = StreamState()
    cluster: Cluster = Cluster()


class Server(msgspec.Struct, frozen=True):
    """The nats-server to which this process is connected."""

    name: str
    version: str
    cluster: str


class Survey(NamedTuple):
    """One look."""

    at: float
    """By a clock that only goes forward."""
    members: list[Member]
    streams: dict[str, StreamInfo | None]
    """None where nobody answered for it."""
    server: Server


class Surveys:
    """Looks where somebody asks, once a second at most."""

    def __init__(self, mesh: Mesh) -> None:
        """Asks through ``mesh``."""
        self._mesh = mesh
        self._last: Survey | None = None
        self._before: Survey | None = None
        self._look_once = SharedRun(self._look)

    async def recent(self) -> tuple[Survey, Survey | None]:
        """A look of this second, and the one before it unless that is long ago; raises `MeshUnavailable`."""
        if self._last is None or time.monotonic() - self._last.at >= _KEPT_S:
            await self._look_once.ask()
        if (last := self._last) is None:
            raise MeshUnavailable("nothing was seen")
        before = self._before
        return last, before if before is not None and last.at - before.at <= _FORGOTTEN_S else None

    async def _look(self) -> None:
        if self._last is not None and time.monotonic() - self._last.at < _KEPT_S:
            return  # somebody else asked a moment before
        connection = self._mesh.connection
        names = (*self._mesh.layout.streams, ASKS, *_BUCKETS)
        at = time.monotonic()
        infos = asyncio.gather(*(info_of(connection, name) for name in names))
        answers, found = await asyncio.gather(members(connection), infos)
        if all(info is None for info in found) and not answers:
            raise MeshUnavailable("neither a service nor a stream answers")
        server = _server(connection)
        self._before, self._last = self._last, Survey(at, answers, dict(zip(names, found, strict=True)), server)


async def members(connection: Connection) -> list[Member]:
    """Ask the services; whoever has not answered within a second is not there. Raises `MeshUnavailable`."""
    loop = asyncio.get_running_loop()
    found: dict[tuple[str, str], Member] = {}
    enough = asyncio.Event()
    silence: asyncio.TimerHandle | None = None  # from the first answer on: NATS itself may be slow to begin

    def give(reply: Reply | None) -> None:
        nonlocal silence
        if reply is None:  # the connection was lost
            enough.set()
            return
        try:
            member = msgspec.json.decode(reply.body, type=Member)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # nobody is there, or somebody speaks otherwise
        if silence is not None:
            silence.cancel()
        silence = loop.call_later(_SILENCE_S, enough.set)
        if member.name in SERVICES and len(found) < _MOST_MEMBERS:
            found[member.name, member.id] = member

    tokens: list[bytes] = []
    try:
        tokens += [connection.ask(f"$SRV.STATS.{name}", b"", give) for name in SERVICES]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WITHIN_S):
                await enough.wait()
    finally:
        if silence is not None:
            silence.cancel()
        for token in tokens:
            connection.stop_asking(token)
    return sorted(found.values(), key=lambda member: (member.name, member.started, member.id))


async def info_of(connection: Connection, stream: str) -> StreamInfo | None:
    """What the leader of a stream tells; None where nobody answers."""
    try:
        answer = await call(connection, f"STREAM.INFO.{stream}", {}, StreamInfo, timeout_s=_INFO_S)
    except (MeshUnavailable, msgspec.DecodeError) as error:
        _log.info("stream %s does not tell: %s", stream, error)
        return None
    return answer if answer.error is None else None


def _server(connection: Connection) -> Server:
    info = connection.client._server_info  # noqa: SLF001 - it has no other way
    return Server(str(info.get("server_name", "")), str(info.get("version", "")), str(info.get("cluster", "")))
