"""Rosters and leases in the bucket PRESENCE: read, and changed by one edge at a time.

``topic.<topic>.<edge>`` holds who an edge has on a topic. Every write of it expects the last sequence of all rosters of
the topic: what an edge decided on is what the log holds, or it decides again. So of two edges that a user comes to, or
leaves, at the same moment, one knows that it was first or last. ``edge.<edge>`` is the edge's lease: it is renewed, and
an edge whose lease stands still is dead (`daena_mesh.sweeping`).
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from daena_mesh import codec
from daena_mesh.connection import header_block
from daena_mesh.errors import Conflict, MeshUnavailable
from daena_mesh.ids import now, uuid7s
from daena_mesh.layout import SIGNALS
from daena_mesh.log import acknowledged
from daena_mesh.mesh import Mesh
from daena_mesh.presence import Change, Noted, Roster, Step, read_noted, settle, untold
from daena_mesh.stored import Stored
from daena_mesh.subjects import subject_for

STREAM = "KV_PRESENCE"
ALIVE, DEAD, DONE = b"alive", b"dead", b"done"
"""A lease says that its edge lives, that somebody removes what it left, or that this is done."""

_ROSTERS = "$KV.PRESENCE.topic."
_LEASES = "$KV.PRESENCE.edge."
_EMPTY_S = 20
_UNTOLD_S = 20
_ATTEMPT_S = 2.0
_WRITE_S = 15.0
_TELL_S = 45.0
"""Less than the stream's window of deduplication: whatever is tried again is stored once."""
_PAUSE_S = 0.05
_STALE_LOOKS = 10
_log = logging.getLogger(__name__)


class Lease(NamedTuple):
    """What an edge's lease says, and where."""

    seq: int
    state: bytes


class _Standing(NamedTuple):
    """Where a topic stands: what each edge wrote, the last sequence of all, and who wrote a moment ago.

    What is remembered was not read; it is what the log has, or the next write is refused.
    """

    noted: dict[str, Noted]
    last: int
    recent: list[str]
    is_remembered: bool


class Rosters:
    """The bucket PRESENCE, through one mesh."""

    def __init__(self, mesh: Mesh) -> None:
        """What there is to tell is published through ``mesh`` too."""
        self._mesh = mesh
        self._written: dict[tuple[str, str], int] = {}
        self._owed: dict[tuple[str, str], Change] = {}
        self._alone: dict[tuple[str, str], tuple[Noted, int]] = {}
        """What this process wrote last where nobody else had a roster, and at which sequence. As each write expects the
        last one, the next can do without reading: a roster of thousands of users is long."""

    # -- who is on a topic --------------------------------------------------------------------------------------

    async def read(self, topic: str) -> tuple[dict[str, Roster], int]:
        """The roster of each edge that has one, and the last sequence of all; raises `MeshUnavailable`."""
        messages = await self._all(f"{_ROSTERS}{topic}.*")
        found = {_edge_of(message): read_noted(message.body).here for message in messages}
        return found, messages[-1].seq if messages else 0

    async def change(self, topic: str, edge: str, here: Callable[[], Collection[str]], known: Roster) -> Roster:
        """Write who is ``here`` now, tell what follows from it, and give the roster as it stands.

        Raises `MeshUnavailable`: it may be written then, and what there is to tell is told with the next change.
        """
        key = topic, edge
        while True:
            standing = await self._standing(topic, edge)
            noted = standing.noted
            was = noted[edge].here if edge in noted else {}
            owed = self._owed.pop(key, None)
            if owed is not None and owed.roster == was:
                await self._tell(topic, owed.steps)
            others = [theirs.here for name, theirs in noted.items() if name != edge]
            change = settle(others, was, here(), known, uuid7s)
            if change.roster == was:
                if standing.is_remembered:
                    continue  # who asks for nothing new wants to know what the log has
                return was
            before = self._untold(standing, key, change)
            self._owed[key] = change
            try:
                seq = await self._write(
                    f"{_ROSTERS}{topic}.{edge}",
                    msgspec.json.encode(Noted(change.roster, change.steps)),
                    standing.last,
                    f"{_ROSTERS}{topic}.*",
                    None if change.roster else _EMPTY_S,
                )
            except Conflict:
                self._owed.pop(key, None)
                await asyncio.sleep(random.uniform(0, _PAUSE_S))
                continue
            self._owed.pop(key, None)
            if change.roster:
                self._written[key] = seq
                if noted.keys() <= {edge}:
                    self._alone[key] = Noted(change.roster, change.steps), seq
            else:
                self._written.pop(key, None)
            await self._tell(topic, before + change.steps)
            return change.roster

    async def _standing(self, topic: str, edge: str) -> _Standing:
        """Where ``topic`` stands, as remembered if it was ``edge``'s alone; raises `MeshUnavailable`."""
        if (mine := self._alone.pop((topic, edge), None)) is not None:
            return _Standing({edge: mine[0]}, mine[1], [], is_remembered=True)
        looks = 0
        while True:
            messages = await self._all(f"{_ROSTERS}{topic}.*")
            last = messages[-1].seq if messages else 0
            if last >= self._written.get((topic, edge), 0) or looks == _STALE_LOOKS:
                break
            looks += 1
            await asyncio.sleep(_PAUSE_S)  # a replica that lags behind
        oldest = (datetime.now(UTC) - timedelta(seconds=_UNTOLD_S)).isoformat()[:19]
        noted = {_edge_of(message): read_noted(message.body) for message in messages}
        recent = [_edge_of(message) for message in messages if message.time.decode()[:19] >= oldest]
        return _Standing(noted, last, recent, is_remembered=False)

    def _untold(self, standing: _Standing, key: tuple[str, str], change: Change) -> tuple[Step, ...]:
        """What is told again before ``change``, in case that its edge could not tell it: once more is as good as once.

        Not what is so old that the stream would store it twice, give or take what clocks differ by.
        """
        noted, recent = standing.noted, standing.recent
        found = untold((step for edge in recent if edge != key[1] for step in noted[edge].last), change.steps)
        is_own = key in self._written  # what this process wrote was told, or is owed
        return found if is_own or key[1] not in recent else found + noted[key[1]].last

    async def topics_of(self, edge: str) -> list[str]:
        """The topics for which ``edge`` has a roster; raises `MeshUnavailable`."""
        messages = await self._all(f"{_ROSTERS}*.{edge}")
        return [message.subject.decode().split(".")[3] for message in messages if read_noted(message.body).here]

    async def _tell(self, topic: str, steps: tuple[Step, ...]) -> None:
        """Publish all of them; the last one's acknowledgement says that those before it are stored too."""
        if not steps:
            return
        mesh, at, messages = self._mesh, now(), []
        subjects = {event_type: subject_for(event_type, topic) for event_type in {step.event_type for step in steps}}
        for step in steps:
            subject, event_id = subjects[step.event_type], step.event_id(topic)
            payload = {"topic": topic, "who": step.who, "count": step.present}
            body = codec.encode(step.event_type, payload, event_id=event_id, timestamp=at, source=mesh.source)
            messages.append((subject, body, b"NATS/1.0\r\nNats-Msg-Id: %b\r\n\r\n" % event_id.encode()))
        *swift, (subject, body, headers) = messages
        deadline = time.monotonic() + _TELL_S
        while time.monotonic() < deadline:
            try:
                await mesh.connection.wait_ready(deadline - time.monotonic())
                for message in swift:
                    mesh.connection.publish(*message)
                reply = await mesh.connection.request(subject, body, timeout_s=_ATTEMPT_S, headers=headers)
                if acknowledged(SIGNALS, reply) is not None:
                    return
            except MeshUnavailable:
                pass
            await asyncio.sleep(_PAUSE_S)
        _log.warning("%d users came to or left %s, and nobody could be told", len(steps), topic)

    # -- leases -------------------------------------------------------------------------------------------------

    async def leases(self) -> dict[str, Lease]:
        """The lease of each edge; raises `MeshUnavailable`."""
        messages = await self._all(f"{_LEASES}*")
        return {_edge_of(message): Lease(message.seq, message.body) for message in messages}

    async def lease(self, edge: str) -> Lease | None:
        """The lease of one edge, from the leader; raises `MeshUnavailable`."""
        message = await self._mesh.log.last(STREAM, f"{_LEASES}{edge}")
        return None if message is None else Lease(message.seq, message.body)

    async def write_lease(self, edge: str, state: bytes, expect: int, *, ttl_s: int | None = None) -> int:
        """Write a lease where the last one is at ``expect``; give its sequence.

        Raises `Conflict` and `MeshUnavailable`.
        """
        subject = f"{_LEASES}{edge}"
        return await self._write(subject, state, expect, subject, ttl_s)

    async def _all(self, pattern: str) -> list[Stored]:
        """All there is on ``pattern``, oldest first."""
        found: list[Stored] = []
        while True:
            batch = await self._mesh.log.batch(STREAM, pattern, found[-1].seq if found else 0)
            found += batch.messages
            if not batch.pending or not batch.messages:
                return found

    async def _write(self, subject: str, body: bytes, expect: int, pattern: str, ttl_s: int | None) -> int:
        headers = {
            "Nats-Msg-Id": secrets.token_hex(16),
            "Nats-Expected-Last-Subject-Sequence": str(expect),
            "Nats-Expected-Last-Subject-Sequence-Subject": pattern,
        }
        if ttl_s is not None:
            headers["Nats-TTL"] = str(ttl_s)
        block, connection = header_block(headers), self._mesh.connection
        deadline = time.monotonic() + _WRITE_S
        while True:
            await connection.wait_ready(max(0.0, deadline - time.monotonic()))
            try:
                reply = await connection.request(subject, body, timeout_s=_ATTEMPT_S, headers=block)
                if (ack := acknowledged(STREAM, reply)) is not None:
                    return ack.seq
                reason = MeshUnavailable(f"stream {STREAM} has no leader at the moment")
            except MeshUnavailable as error:
                reason = error
            if time.monotonic() + _PAUSE_S >= deadline:
                raise reason
            await asyncio.sleep(_PAUSE_S)


def _edge_of(message: Stored) -> str:
    return message.subject.decode().rpartition(".")[2]
