"""Who serves questions, and which are being answered: what agents say in their heartbeats, as they say it.

Processes of one name write to one key of the bucket, which shows only the last of them; who listens hears all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec

from daena_mesh import codec
from daena_mesh.asks import Target
from daena_mesh.connection import Subscription
from daena_mesh.errors import InvalidEvent, InvalidId
from daena_mesh.heartbeat import BUCKET, TTL_S
from daena_mesh.mesh import Mesh
from daena_mesh.subjects import check_id

MOST_TARGETS = 64
_STREAM = f"KV_{BUCKET}"
_PREFIX = f"$KV.{BUCKET}."
_OFFLINE = "offline"


class Beat(msgspec.Struct, frozen=True):
    """The part of a heartbeat, or of an ``agent.status``, that counts here."""

    instance: str = ""
    status: str = ""
    serves: list[str] = []
    answering: list[str] = []
    tasks: list[str] = []


class Beats:
    """The last heartbeat of each process that still counts. Times are of a clock that only goes forward."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[float, Beat]] = {}

    def note(self, agent: str, beat: Beat, now: float) -> None:
        """A process of ``agent`` has said that it lives, or that it ends."""
        if beat.status == _OFFLINE:
            self._last.pop((agent, beat.instance), None)
        else:
            self._last[agent, beat.instance] = now, beat

    def knows(self, agent: str, beat: Beat) -> bool:
        """Whether this is the last that was heard."""
        return self._last.get((agent, beat.instance), (0.0, None))[1] == beat

    def forget(self, now: float) -> None:
        """Those that were silent for too long are gone."""
        self._last = {key: known for key, known in self._last.items() if known[0] + TTL_S > now}

    @property
    def answering(self) -> set[str]:
        """The messages that asked what is at work somewhere."""
        return {message_id for _, beat in self._last.values() for message_id in beat.answering}

    @property
    def working(self) -> set[tuple[str, str]]:
        """The tasks at work somewhere, each with the name of the agent."""
        return {(agent, task_id) for (agent, _), (_, beat) in self._last.items() for task_id in beat.tasks}

    @property
    def targets(self) -> set[Target]:
        """Whose questions somebody takes."""
        return {target for _, beat in self._last.values() for target in targets_of(beat)}


def targets_of(beat: Beat) -> list[Target]:
    """Whose questions a process takes; what is no target is left out."""
    found = []
    for text in beat.serves[:MOST_TARGETS]:
        with suppress(InvalidId):
            found.append(Target.parse(text))
    return found


class Serving:
    """Listens to agents."""

    def __init__(self, mesh: Mesh, found: Callable[[list[Target]], None]) -> None:
        """``found`` is told whose questions somebody takes, whenever that is said."""
        self.beats = Beats()
        self._mesh = mesh
        self._found = found
        self._subscriptions: list[Subscription] = []
        self._since = 0.0
        self._connects = 0

    def start(self) -> None:
        """Begin to listen."""
        connection = self._mesh.connection
        self._subscriptions = [
            connection.subscribe(f"{_PREFIX}*", self._hear_beat),
            connection.subscribe("agent.*.status", self._hear_status),
            connection.subscribe("agent.*.status.*", self._hear_status),
        ]

    def stop(self) -> None:
        """Listen no longer."""
        for subscription in self._subscriptions:
            self._mesh.connection.unsubscribe(subscription)

    async def look(self) -> float:
        """Read the bucket too; give for how many seconds nothing can have been missed. Raises `MeshUnavailable`."""
        connection, now = self._mesh.connection, asyncio.get_running_loop().time()
        if self._connects != connection.connects:
            self._connects, self._since = connection.connects, now
        position = 0
        while True:
            batch = await self._mesh.log.batch(_STREAM, f"{_PREFIX}*", position)
            for message in batch.messages:
                self._note_beat(message.subject.decode("ascii", "replace"), message.body, is_heard=False)
                position = message.seq
            if not batch.pending or not batch.messages:
                break
        self.beats.forget(asyncio.get_running_loop().time())
        return asyncio.get_running_loop().time() - self._since

    def _hear_beat(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:  # noqa: ARG002
        self._note_beat(subject.decode("ascii", "replace"), body, is_heard=True)

    def _note_beat(self, subject: str, body: bytes, *, is_heard: bool) -> None:
        with suppress(InvalidId, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            agent, beat = check_id(subject.removeprefix(_PREFIX)), msgspec.json.decode(body, type=Beat)
            if is_heard or not self.beats.knows(agent, beat):
                self.beats.note(agent, beat, asyncio.get_running_loop().time())
            self._found(targets_of(beat))

    def _hear_status(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:  # noqa: ARG002
        with suppress(InvalidEvent, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            envelope = codec.check(body, "agent.status")
            raw = body if isinstance(envelope.payload, msgspec.UnsetType) else envelope.payload
            self._found(targets_of(msgspec.json.decode(raw, type=Beat)))
