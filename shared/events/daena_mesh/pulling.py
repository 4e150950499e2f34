"""Taking asks from the queue: one request for each worker that waits, so nothing lies with an agent that is busy.

The consumers are made by the API (`mesh_api.consumers`); an agent needs no more than
``$JS.API.CONSUMER.MSG.NEXT.ASKS.<consumer>`` and ``$JS.ACK.ASKS.<consumer>.>``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import msgspec

from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable
from daena_mesh.provisioning import ASKS
from daena_mesh.stored import Stored, status_of

ACK_WAIT_S = 6.0
"""For how long an ask is its taker's alone; `Delivery.working` begins that anew."""
MAX_DELIVER = 3

_NS = 1_000_000_000
_NO_MESSAGES, _TIMEOUT = 404, 408
_GRACE_S = 1.0


class NotServed(MeshUnavailable):
    """The consumer does not exist yet, or has no leader at the moment."""


class Taken(NamedTuple):
    """What the subject of an acknowledgement says (ADR-15 of NATS, both forms)."""

    attempt: int
    seq: int
    at: datetime
    """When it was put into the queue."""


def read_ack_subject(subject: bytes) -> Taken | None:
    """Take it apart; None for what is no acknowledgement of our queue."""
    tokens = subject.split(
        b"."
    )  # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<attempt>.<seq>.<n>.<time>.<pending>
    skip = 2 if len(tokens) >= 11 else 0
    if len(tokens) < 9 or tokens[:2] != [b"$JS", b"ACK"] or tokens[2 + skip] != ASKS.encode():
        return None
    try:
        attempt, seq, _, nanoseconds = map(int, tokens[4 + skip : 8 + skip])
        return Taken(attempt, seq, datetime.fromtimestamp(nanoseconds / _NS, UTC))
    except (ValueError, OverflowError, OSError):
        return None


class Delivery(NamedTuple):
    """An ask that this process has taken."""

    message: Stored
    taken: Taken
    ack_subject: str


class _Slot:
    """Where the answer to one request at a time comes; an ask comes under its own subject, so not by any token."""

    def __init__(self, receive: Callable[[_Slot, bytes, bytes, bytes, bytes], None], connection: Connection) -> None:
        self.inbox = connection.new_inbox()
        self.subscription = connection.subscribe(self.inbox, partial(receive, self))
        self.answer: asyncio.Future[Delivery | int] | None = None
        self.late_at = 0.0
        """After that what comes may be somebody else's: who was frozen finds what others have taken since. A lease
        begins with the request at the earliest."""

    def give(self, answer: Delivery | int) -> bool:
        """Answer the request; False where there is none."""
        waiting, self.answer = self.answer, None
        if waiting is None or waiting.done():
            return False
        waiting.set_result(answer)
        return True


class Puller:
    """Requests to the consumers of the queue, and what they give."""

    def __init__(self, connection: Connection) -> None:
        """Through ``connection``."""
        self._connection = connection
        self._slots: set[_Slot] = set()
        self._free: list[_Slot] = []

    async def pull(self, consumer: str, expires_s: float) -> Delivery | None:
        """Wait for an ask, for ``expires_s`` at most, which is well below `ACK_WAIT_S`.

        Raises `NotServed` and `MeshUnavailable`.
        """
        slot = self._free.pop() if self._free else self._new_slot()
        try:
            found = await self._ask(slot, consumer, expires_s)
        except BaseException:
            self._drop(slot)
            raise
        if found is None:
            self._drop(slot)  # what may still come is nobody's
        else:
            self._free.append(slot)
        if isinstance(found, Delivery):
            return found
        if found in {None, _NO_MESSAGES, _TIMEOUT}:
            return None
        raise NotServed(f"consumer {consumer} of {ASKS} is not there: status {found}")

    async def _ask(self, slot: _Slot, consumer: str, expires_s: float) -> Delivery | int | None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Delivery | int] = loop.create_future()
        slot.answer = answer
        slot.late_at = loop.time() + ACK_WAIT_S
        request = msgspec.json.encode({"batch": 1, "expires": int(expires_s * _NS)})
        self._connection.publish(f"$JS.API.CONSUMER.MSG.NEXT.{ASKS}.{consumer}", request, reply=slot.inbox.encode())
        try:
            async with asyncio.timeout(expires_s + _GRACE_S):
                return await answer
        except TimeoutError:
            # It may have come in the very turn in which the time was over.
            return answer.result() if answer.done() and not answer.cancelled() else None

    async def close(self) -> None:
        """Take nothing more; what is on its way is returned to the queue at once."""
        self._connection.remove_on_renewal(self._renewed)
        self._renewed()
        slots, self._slots = self._slots, set()
        with contextlib.suppress(MeshUnavailable):
            await asyncio.gather(*(self._connection.drain(slot.subscription) for slot in slots))

    def say(self, delivery: Delivery, word: bytes) -> bool:
        """Tell the queue of a delivery; False where that was not possible."""
        try:
            self._connection.publish(delivery.ack_subject, word)
        except MeshUnavailable:
            return False
        return True

    def _new_slot(self) -> _Slot:
        self._connection.on_renewal(self._renewed)
        slot = _Slot(self._receive, self._connection)
        self._slots.add(slot)
        return slot

    def _drop(self, slot: _Slot) -> None:
        self._slots.discard(slot)
        self._connection.unsubscribe(slot.subscription)

    def _renewed(self) -> None:
        """The requests went with the connection."""
        for slot in self._slots:
            slot.give(_TIMEOUT)

    def _receive(self, slot: _Slot, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        if status := status_of(headers):
            slot.give(status)
            return
        if (taken := read_ack_subject(reply)) is None or asyncio.get_running_loop().time() > slot.late_at:
            return  # to return it to the queue would take it from who has it now
        head = headers.removesuffix(b"\r\n\r\n")
        message = Stored(ASKS, subject, taken.seq, 0, taken.at.isoformat().encode(), head, body)
        delivery = Delivery(message, taken, reply.decode())
        if not slot.give(delivery):
            self.say(delivery, b"-NAK")


def next_turn(waiting: Mapping[str, int], engaged: Mapping[str, int], served: Mapping[str, int]) -> str:
    """Which consumer a free worker waits for, of those that ``waiting`` names.

    The one with the fewest workers ``waiting``, then with the fewest ``engaged`` (waiting or at work), then the one
    ``served`` longest ago: so each has a worker that waits for it, if there are as many, and a busy one gets the rest.
    """
    return min(waiting, key=lambda name: (waiting[name], engaged.get(name, 0), served.get(name, 0)))
