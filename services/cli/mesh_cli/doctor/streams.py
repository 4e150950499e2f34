"""The streams and buckets: there, as provisioning wants them, on enough servers, and not about to be full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable
from daena_mesh.ids import now
from daena_mesh.jetstream import NO_STREAM, ApiReply, call
from daena_mesh.layout import epoch_subject
from daena_mesh.provisioning import differing
from daena_mesh.reader import StreamReader
from mesh_cli.doctor.finding import Finding, fine, problem, warning

FULL = 0.8
_MOST_SKEW_S = 5.0
_SOME_SKEW_S = 1.0
_WITHIN_S = 3.0


class State(msgspec.Struct, frozen=True):
    """How much a stream holds."""

    messages: int = 0
    bytes: int = 0


class Replica(msgspec.Struct, frozen=True):
    """A follower, as the leader sees it."""

    name: str
    current: bool = False
    offline: bool = False


class Cluster(msgspec.Struct, frozen=True):
    """Where a stream lives."""

    leader: str = ""
    replicas: tuple[Replica, ...] = ()


class Stream(ApiReply):
    """What JetStream tells of one; ``reason`` says why it does not."""

    config: dict[str, Any] = msgspec.field(default_factory=dict)
    state: State = State()
    cluster: Cluster = Cluster()
    ts: str = ""
    reason: str = ""
    epoch: str = ""
    skew_s: float | None = None
    """By how much our clock is ahead of the server's, less what the answer may have taken."""

    @property
    def is_missing(self) -> bool:
        """Whether there is none of that name."""
        return self.error is not None and self.error.err_code == NO_STREAM


async def look_at_stream(connection: Connection, name: str, *, has_epoch: bool) -> Stream:
    """Ask for one, for its epoch where it should have one, and for the server's time."""
    asked = now()
    try:
        stream = await call(connection, f"STREAM.INFO.{name}", {}, Stream, timeout_s=_WITHIN_S)
        stream.skew_s = skew(asked, stream.ts, now()) if stream.ts else None
        if has_epoch and not stream.error:
            marker = await StreamReader(connection).last(name, epoch_subject(name))
            stream.epoch = marker.body.decode("utf-8", "replace") if marker else ""
    except (MeshUnavailable, msgspec.DecodeError) as error:
        return Stream(reason=str(error))
    return stream


def skew(asked: str, told: str, heard: str) -> float:
    """How far ``told`` lies outside of the time between asking and hearing, in seconds; above 0: we are ahead."""
    first, at, last = (datetime.fromisoformat(moment).timestamp() for moment in (asked, told, heard))
    return first - at if at < first else min(0.0, last - at)


def judge_streams(
    found: Mapping[str, Stream], wanted: Sequence[Mapping[str, Any]], servers: int | None, *, is_clustered: bool
) -> list[Finding]:
    """Whether each is as ``wanted``; ``servers`` is how many there are, None where that cannot be seen."""
    findings: list[Finding] = []
    for config in wanted:
        name, stream = str(config["name"]), found[str(config["name"])]
        check = f"stream {name}"
        if stream.is_missing:
            findings.append(problem(check, "is not there", "start an API (`mesh api`, `mesh up`), which makes it"))
        elif stream.reason or stream.error:
            seen = stream.reason or (stream.error.description if stream.error else "")
            findings.append(problem(check, seen, "see the server's log, and that a majority of the servers runs"))
        else:
            findings.append(_configuration(check, stream, config))
            findings += _replicas(check, stream, servers, is_clustered=is_clustered)
            findings += _fill(check, stream)
    return findings


def judge_epochs(found: Mapping[str, Stream], names: Sequence[str]) -> list[Finding]:
    """Whether cursors know which life of a stream they belong to."""
    there = {name: found[name] for name in names if found[name].config}
    mend = "start an API (`mesh api`, `mesh up`), which writes the marker"
    return [
        fine("epochs", f"{name} {stream.epoch}")
        if stream.epoch
        else problem("epochs", f"{name} has no marker: no cursor can be given", mend)
        for name, stream in there.items()
    ]


def judge_clock(found: Mapping[str, Stream]) -> list[Finding]:
    """Whether this machine and NATS agree what time it is."""
    skews = [stream.skew_s for stream in found.values() if stream.skew_s is not None]
    if not skews:
        return []
    most = min(skews, key=abs)  # whatever a busy machine adds is no skew
    seen = f"this machine is {abs(most):.1f} s {'ahead of' if most > 0 else 'behind'} NATS"
    mend = "let NTP set both clocks: tokens, times of events and time-outs go by them"
    if abs(most) > _MOST_SKEW_S:
        return [problem("clock", seen, mend)]
    if abs(most) > _SOME_SKEW_S:
        return [warning("clock", seen, mend)]
    return [fine("clock", f"this machine and NATS agree within {_SOME_SKEW_S:.0f} s")]


def _configuration(check: str, stream: Stream, wanted: Mapping[str, Any]) -> Finding:
    changed = differing(stream.config, wanted)
    if not changed:
        return fine(check, f"{stream.state.messages:,} messages, {stream.state.bytes:,} bytes")
    seen = ", ".join(f"{key} is {stream.config.get(key)!r}, not {value!r}" for key, value in sorted(changed.items()))
    mend = (
        "an API upgrades it when it starts, and refuses to change storage and retention; where it is as you want it, "
        "set the MESH_… variables here as they are for the API"
    )
    return problem(check, seen, mend)


def _replicas(check: str, stream: Stream, servers: int | None, *, is_clustered: bool) -> list[Finding]:
    copies = int(stream.config.get("num_replicas", 1))
    away = [peer.name for peer in stream.cluster.replicas if peer.offline or not peer.current]
    findings = []
    if away:
        mend = "see the logs of these servers; until they are back another loss may stop writes"
        findings.append(problem(f"{check} replicas", f"behind or away: {', '.join(away)}", mend))
    if copies == 1 and (is_clustered or (servers or 1) > 1):
        seen = "one copy in a cluster: it is away, or lost, with its server"
        findings.append(warning(f"{check} replicas", seen, "set MESH_REPLICAS=3 for the API"))
    elif servers is not None and copies > servers:
        seen = f"{copies} copies on {servers} servers"
        findings.append(problem(f"{check} replicas", seen, "add servers, or set MESH_REPLICAS for the API"))
    return findings


def _fill(check: str, stream: Stream) -> list[Finding]:
    held = {"bytes": ("max_bytes", stream.state.bytes), "messages": ("max_msgs", stream.state.messages)}
    findings = []
    for unit, (key, has) in held.items():
        most = int(stream.config.get(key, -1))
        if most > 0 and has >= FULL * most:
            then = "refuses more" if stream.config.get("discard") == "new" else "drops the oldest"
            seen = f"{has:,} of {most:,} {unit} ({has / most:.0%}); when full it {then}"
            findings.append(warning(f"{check} fill", seen, "give it more room, such as MESH_SIGNALS_MAX_BYTES"))
    return findings
