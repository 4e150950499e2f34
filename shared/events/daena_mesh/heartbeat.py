"""The heartbeat of an agent: a key in the bucket AGENTS that expires by itself, and what is told as ``agent.status``.

The heartbeat is written first, the status after it. Every heartbeat expects the agent's own last one to be the newest:
where another process beats under the same name both find out, with no right to read anything.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from daena_mesh import codec
from daena_mesh.connection import header_block
from daena_mesh.errors import Conflict, MeshError, MeshUnavailable
from daena_mesh.ids import dedup_id, now, uuid7
from daena_mesh.log import Ack, acknowledged

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh

BUCKET = "AGENTS"
TTL_S = 15
"""After so long without a heartbeat an agent is gone."""

INTERVAL_S = 5.0
_LEAST_GAP_S = 0.2
_RETRY_S = 1.0
_WRITE_S = 2.0
_OVERDUE_S = 10.0
"""Somebody may have taken the agent for dead: it says again how it is."""
_WARN_AGAIN_S = 300.0
_NONE_LEFT = "sequence: 0"
"""What JetStream says where nothing is left of a key (error 10071)."""
_log = logging.getLogger(__name__)


class Heartbeat:
    """Says that an agent lives, and how it is, until it ends."""

    def __init__(
        self,
        mesh: Mesh,
        name: str,
        instance: str,
        *,
        describe: Callable[[], dict[str, Any]],
        status: Callable[[], str],
        serves: Callable[[], list[str]],
        doubted: Callable[[], None],
    ) -> None:
        """``describe`` gives the heartbeat but for its status; ``status`` is ``online`` or ``busy``.

        ``doubted`` is called where others may have taken the agent for dead, or lost what it told.
        """
        self._mesh = mesh
        self._name = name
        self._instance = instance
        self._describe = describe
        self._status = status
        self._serves = serves
        self._doubted = doubted
        self._wake = asyncio.Event()
        self._has_told = asyncio.Event()
        self._is_ending = False
        self._last_seq: int | None = None
        self._beaten_at = float("-inf")
        self._told: tuple[str, list[str]] | None = None
        self._told_seq: int | None = None
        self._telling: tuple[str, list[str], str] | None = None
        self._warned_at = float("-inf")
        self.trouble: MeshError | None = None
        """Why nothing can be told at the moment."""
        self._task: asyncio.Task[None] | None = None

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self, within_s: float) -> bool:
        """Begin; whether the agent was announced ``within_s`` seconds. It goes on trying where it was not."""
        self._mesh.log.on_change(self._tell_again)
        self._task = asyncio.create_task(self._run(), name=f"heartbeat of {self._name}")
        try:
            async with asyncio.timeout(within_s):
                await self._has_told.wait()
        except TimeoutError:
            return False
        return True

    def soon(self) -> None:
        """Something changed that the heartbeat or the status tells."""
        self._wake.set()

    async def close(self, reason: str | None, within_s: float) -> None:
        """Tell that the agent is gone, if NATS is there, and end, all in ``within_s`` seconds."""
        self._is_ending = True
        self._wake.set()
        try:
            async with asyncio.timeout(within_s):
                if self._task is not None:
                    await self._task
                await self._say_goodbye(reason)
        except (TimeoutError, MeshError) as error:
            _log.info("agent %s left without a word: %s", self._name, str(error) or "NATS does not answer")
        finally:
            self.stop()

    def stop(self) -> None:
        """Say nothing more."""
        self._mesh.log.remove_on_change(self._tell_again)
        if self._task is not None:
            self._task.cancel()

    def _tell_again(self) -> None:
        """What was told may be lost, or no longer count."""
        self._told = None
        self._wake.set()
        self._doubted()

    # -- beating ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._is_ending:
            self._wake.clear()
            pause_s = _RETRY_S
            began = time.monotonic()
            try:
                await self._beat()
                await self._tell()
                self._has_told.set()
                self.trouble = None
                pause_s = INTERVAL_S
            except MeshError as error:
                if self.trouble is None:  # once, and not every second while NATS is away
                    _log.info("the heartbeat of %s waits: %s", self._name, error)
                self.trouble = error
            except Exception:  # noqa: BLE001 - or the agent would be taken for dead
                _log.exception("the heartbeat of %s failed", self._name)
            await self._rest(pause_s, began)

    async def _rest(self, pause_s: float, began: float) -> None:
        """Until the next one is due, or something changed; but not at once, for changes come in bursts."""
        try:
            async with asyncio.timeout(max(0.0, began + pause_s - time.monotonic())):
                await self._wake.wait()
        except TimeoutError:
            return
        if not self._is_ending:
            await asyncio.sleep(max(0.0, began + _LEAST_GAP_S - time.monotonic()))

    async def _beat(self) -> None:
        if float("-inf") < self._beaten_at < time.monotonic() - _OVERDUE_S:
            self._tell_again()
        expected, self._last_seq = self._last_seq, None  # unknown, should there be no answer
        body = msgspec.json.encode({**self._describe(), "status": self._status()})
        try:
            self._last_seq = await self._write(body, expected)
        except Conflict as conflict:
            self._meet_another(conflict)
            self._last_seq = await self._write(body, None)
        self._beaten_at = time.monotonic()

    async def _write(self, body: bytes, expected: int | None) -> int:
        headers = {"Nats-TTL": str(TTL_S)}
        if expected is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(expected)
        subject = f"$KV.{BUCKET}.{self._name}"
        reply = await self._mesh.connection.request(subject, body, timeout_s=_WRITE_S, headers=header_block(headers))
        if (ack := acknowledged(f"KV_{BUCKET}", reply)) is None:
            raise MeshUnavailable(f"the bucket {BUCKET} is not there; an API makes it")
        return ack.seq

    def _meet_another(self, conflict: Conflict) -> None:
        """The newest heartbeat of this name is not ours: it has expired, or another process beats too."""
        at = time.monotonic()
        if str(conflict).endswith(_NONE_LEFT) or at - self._beaten_at > TTL_S:
            return
        self._told = None  # the other may have told that it ended
        if at - self._warned_at > _WARN_AGAIN_S:
            self._warned_at = at
            _log.warning("another process runs as agent %r too: one name shows the state of both", self._name)

    # -- telling ------------------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        status, serves = self._status(), self._serves()
        if self._told == (status, serves):
            return
        if self._telling is None or self._telling[:2] != (status, serves):
            self._telling = status, serves, uuid7()
        ack = await self._append(status, serves, event_id=self._telling[2], expected=None)
        self._told, self._told_seq, self._telling = (status, serves), ack.seq, None

    async def _say_goodbye(self, reason: str | None) -> None:
        """Only where what this process told last is what was told last: else another one of the name lives on."""
        if self._told_seq is None and self._telling is None:
            return
        expected = self._told_seq if self._telling is None else None  # what it was about to tell may be stored
        try:
            await self._append("offline", [], event_id=uuid7(), expected=expected, reason=reason)
        except Conflict:
            return
        await self._write(msgspec.json.encode({**self._describe(), "status": "offline"}), None)

    async def _append(
        self, status: str, serves: list[str], *, event_id: str, expected: int | None, reason: str | None = None
    ) -> Ack:
        subject = f"agent.{self._name}.status"
        payload = {"agent_id": self._name, "status": status, "instance": self._instance, "serves": serves}
        body = codec.encode(
            "agent.status",
            payload if reason is None else {**payload, "reason": reason},
            event_id=event_id,
            timestamp=now(),
            source=self._mesh.source,
        )
        return await self._mesh.log.append(
            subject,
            body,
            event_id=event_id,
            msg_id=dedup_id(subject, event_id),
            expect_last=None if expected is None else (subject, expected),
            deadline_s=_WRITE_S,
            patience_s=_WRITE_S,
        )
