"""Streams and buckets: created where they are missing, upgraded where they are older, refused where they are foreign.

Idempotent, and repeated after every reconnect: a memory stream is gone after a lone node's restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

import msgspec

from daena_mesh.connection import Connection, header_block
from daena_mesh.cursors import new_epoch
from daena_mesh.errors import MeshUnavailable, ProvisioningError
from daena_mesh.jetstream import NAME_IN_USE, NO_STREAM, ApiError, ApiReply, call
from daena_mesh.layout import RECORDS, SIGNALS, Layout, epoch_subject
from daena_mesh.reader import StreamReader
from daena_mesh.repeats import Repeat
from daena_mesh.settings import MeshSettings

ASKS = "ASKS"

_S = 1_000_000_000
_TIMEOUT_S = 8.0
_FIXED = ("storage", "retention", "name")
"""What a stream cannot change, or must not under its users."""
_log = logging.getLogger(__name__)


class _State(msgspec.Struct):
    first_seq: int = 0


class _Info(ApiReply):
    config: dict[str, Any] | None = None
    state: _State | None = None


def wanted_streams(layout: Layout, settings: MeshSettings, *, is_clustered: bool = False) -> list[dict[str, Any]]:
    """The configuration of every stream and bucket, as JetStream's API wants it.

    ``is_clustered``: the server has peers, so `settings.replicas` may be raised later.
    """
    # No stream that is written lazily can be given replicas, and a memory stream can.
    alone = settings.replicas == 1 and not is_clustered
    common: dict[str, Any] = {
        "num_replicas": settings.replicas,
        "allow_direct": True,
        "discard": "old",
        "max_msg_size": -1,
    }
    # On a single node a memory stream would be gone after its restart; a file that is written lazily is not.
    swift: dict[str, Any] = {"storage": "file", "persist_mode": "async"} if alone else {"storage": "memory"}
    live = {"republish": {"src": ">", "dest": "live.>"}}
    records = {
        "name": RECORDS,
        "subjects": list(layout.subjects(RECORDS)),
        "storage": "file",
        "retention": "limits",
        "max_age": settings.records_max_age_s * _S,
        "max_bytes": settings.records_max_bytes or -1,
        "duplicate_window": (min(600, settings.records_max_age_s) if settings.records_max_age_s else 600) * _S,
        "allow_msg_ttl": False,
    }
    signals = {
        "name": SIGNALS,
        "subjects": list(layout.subjects(SIGNALS)),
        "retention": "limits",
        "max_age": settings.signals_max_age_s * _S,
        "max_bytes": settings.signals_max_bytes,
        "duplicate_window": 60 * _S,
        "allow_msg_ttl": True,
        **swift,
    }
    asks = {
        "name": ASKS,
        "subjects": ["ask.>"],
        "storage": "file",
        "retention": "workqueue",
        "duplicate_window": 600 * _S,
    }
    return [
        {**common, **live, **records},
        {**common, **live, **signals},
        {**common, **asks},
        {**common, **_bucket("AGENTS", swift, ttl=True)},
        {**common, **_bucket("PRESENCE", swift, ttl=True)},
        {**common, **_bucket("REVOKED", {"storage": "file"}, ttl=True)},
    ]


def _bucket(name: str, storage: dict[str, Any], *, ttl: bool) -> dict[str, Any]:
    """A key-value bucket (ADR-8 of NATS), without markers or rollup: a writer of one key could wipe the others."""
    return {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "max_msgs_per_subject": 1,
        "deny_delete": True,
        "discard": "new",
        "retention": "limits",
        "duplicate_window": 60 * _S,
        "allow_msg_ttl": ttl,
        "allow_rollup_hdrs": False,
        **storage,
    }


async def provision(
    connection: Connection,
    layout: Layout,
    settings: MeshSettings,
    known: Mapping[str, tuple[str, int]] | None = None,
    made: Callable[[str], Awaitable[None]] | None = None,
) -> None:
    """Make all streams and buckets as they should be, and give each event stream its epoch.

    ``known`` has names and sequences of markers from before: where a limit has taken one since, its name stays.
    ``made`` is awaited with the name of each event stream, as soon as that is as it should be.
    Raises `ProvisioningError` where a stream of that name must not be changed, `MeshUnavailable` without an answer.
    """
    epochs = known or {}

    async def make(config: dict[str, Any]) -> None:
        stream, begin = config["name"], await _provision(connection, config)
        if stream in layout.streams:  # at once: whoever follows it waits for its marker, and not for the other streams
            name, seq = epochs.get(stream, ("", 0))
            await mark_epoch(connection, stream, name if name and begin > seq else new_epoch())
            if made is not None:
                await made(stream)

    await _all(make(config) for config in wanted_streams(layout, settings, is_clustered=connection.is_clustered))


async def _all(doing: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all side by side, for each may have to wait for a leader of its own; raises what went wrong with the first."""
    done = await asyncio.gather(*doing, return_exceptions=True)
    for result in done:
        if isinstance(result, BaseException):
            raise result


async def _provision(connection: Connection, wanted: dict[str, Any]) -> int:
    """Make one as it should be; its first sequence, 0 where it is new."""
    name = wanted["name"]
    info = await _ask(connection, f"INFO.{name}", {})
    if info.error and info.error.err_code == NO_STREAM:
        created = await _ask(connection, f"CREATE.{name}", wanted)
        if created.error is None:
            _log.info("stream %s created", name)
            return 0
        if created.error.err_code != NAME_IN_USE:
            raise _refused(name, created.error)
        info = await _ask(connection, f"INFO.{name}", {})  # another API was first
    if info.error:
        raise _refused(name, info.error)
    have = info.config or {}
    if wanted["num_replicas"] == 1 and have.get("persist_mode") == "async":  # made when the server was alone
        wanted = {**wanted, "storage": have["storage"], "persist_mode": "async"}
    changed = differing(have, wanted)
    begin = info.state.first_seq if info.state else 0
    if not changed:
        return begin
    for key in _FIXED:
        if key in changed:
            raise ProvisioningError(
                f"stream {name} has {key} {have.get(key)!r} where the mesh needs {wanted[key]!r}; "
                f"back it up and remove it (nats stream backup {name} DIR; nats stream rm {name}), "
                "or use another NATS account"
            )
    updated = await _ask(connection, f"UPDATE.{name}", {**have, **wanted})
    if updated.error:
        raise _refused(name, updated.error)
    _log.info("stream %s upgraded: %s", name, ", ".join(sorted(changed)))
    return begin


def differing(have: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``wanted`` a stream whose configuration is ``have`` does not have."""
    return {key: value for key, value in wanted.items() if have.get(key, _absent(value)) != value}


def _absent(value: object) -> object:
    """What the server means by leaving a field out."""
    return type(value)() if isinstance(value, (bool, int, str, list, dict)) else None


def _refused(name: str, error: ApiError) -> Exception:
    message = f"JetStream refuses stream {name}: {error.description} ({error.err_code})"
    return MeshUnavailable(message) if error.code == 503 else ProvisioningError(message)


async def _ask(connection: Connection, verb: str, request: dict[str, Any]) -> _Info:
    return await call(connection, f"STREAM.{verb}", request, _Info, timeout_s=_TIMEOUT_S)


async def mark_epoch(connection: Connection, stream: str, name: str, expect: int = 0) -> None:
    """Write the marker of ``stream`` if the last one is at ``expect``; of several writers one wins.

    Raises `MeshUnavailable`.
    """
    headers = {"Nats-Expected-Last-Subject-Sequence": str(expect)}
    if stream == SIGNALS:
        headers["Nats-TTL"] = "never"  # it outlives the stream's age limit
    block, subject = header_block(headers), epoch_subject(stream)
    await connection.request(subject, name.encode(), timeout_s=_TIMEOUT_S, headers=block, repeat=Repeat.OFTEN)


async def renew_epoch(connection: Connection, stream: str) -> None:
    """Have ``stream`` begin another life, if it is there: positions of before count no more.

    Raises `MeshUnavailable`.
    """
    info = await _ask(connection, f"INFO.{stream}", {})
    if info.error and info.error.err_code == NO_STREAM:
        return
    reader, subject, name = StreamReader(connection), epoch_subject(stream), new_epoch()
    before = await reader.last(stream, subject)
    await mark_epoch(connection, stream, name, 0 if before is None else before.seq)
    marker = await reader.last(stream, subject)
    if marker is None or marker.body != name.encode():
        raise MeshUnavailable(f"the marker of stream {stream} could not be written")
