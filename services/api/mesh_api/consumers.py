"""The consumers of the queue of asks: one for each agent, department and Daena that somebody serves.

Agents may not make them, so an API does as soon as it hears of somebody who serves. Doing it again changes nothing, and
upgrades what an older version has made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

from daena_mesh.asks import Target
from daena_mesh.connection import Connection
from daena_mesh.errors import MeshUnavailable
from daena_mesh.jetstream import ApiError, ApiReply, call
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import ASKS
from daena_mesh.pulling import ACK_WAIT_S, MAX_DELIVER

LOOK_S = 2.0
_NS = 1_000_000_000
_KEPT_S = 86_400
"""A consumer that nobody pulls from for so long goes away; who serves again has it made again."""
_WANTED_S = 60.0
"""For how long it is kept up after somebody was last heard to serve."""
_MOST_AT_WORK = 10_000
_NOT_UNIQUE = 10100
_RETRY_S = 0.5
_log = logging.getLogger(__name__)

T = TypeVar("T")


class Floor(msgspec.Struct):
    """Up to where everything is settled."""

    stream_seq: int = 0


class Listed(msgspec.Struct):
    """A consumer as JetStream lists it."""

    name: str
    num_pending: int = 0
    num_ack_pending: int = 0
    num_redelivered: int = 0
    ack_floor: Floor = msgspec.field(default_factory=Floor)


class _Page(ApiReply, Generic[T]):
    total: int = 0
    consumers: list[T] | None = None


async def listed(connection: Connection) -> list[Listed]:
    """All consumers of the queue; raises `MeshUnavailable`."""
    return await _all(connection, f"CONSUMER.LIST.{ASKS}", _Page[Listed])


async def _all(connection: Connection, verb: str, page: type[_Page[T]]) -> list[T]:
    found: list[T] = []
    while True:
        answer = await call(connection, verb, {"offset": len(found)}, page)
        if answer.error is not None:
            raise MeshUnavailable(f"the consumers of {ASKS} are not known: {answer.error.description}")
        found += answer.consumers or ()
        if len(found) >= answer.total or not answer.consumers:
            return found


def config_of(target: Target) -> dict[str, Any]:
    """The consumer of ``target`` as JetStream's API wants it."""
    return {
        "name": target.consumer,
        "durable_name": target.consumer,
        "description": f"asks of {target}",
        "filter_subject": target.pattern,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(ACK_WAIT_S * _NS),
        "max_deliver": MAX_DELIVER,
        "max_ack_pending": _MOST_AT_WORK,
        "inactive_threshold": _KEPT_S * _NS,
    }


class Consumers:
    """Makes them, in the background."""

    def __init__(self, mesh: Mesh) -> None:
        """Through ``mesh``."""
        self.made = 0
        self._mesh = mesh
        self._wanted: dict[str, tuple[float, Target]] = {}
        self._sure: set[str] = set()
        self._connects = 0
        self._wake = asyncio.Event()

    def want(self, targets: Iterable[Target]) -> None:
        """Somebody serves ``targets``."""
        until = asyncio.get_running_loop().time() + _WANTED_S
        for target in targets:
            if target.consumer not in self._wanted:
                self._wake.set()
            self._wanted[target.consumer] = until, target

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._make_what_is_missing()
            except MeshUnavailable as error:
                _log.info("the consumers of %s cannot be made yet: %s", ASKS, error)
                await self._try_again()
            except Exception:  # noqa: BLE001 - or agents would wait for their consumers for ever
                _log.exception("the consumers of %s cannot be made", ASKS)
                await self._try_again()

    async def _try_again(self) -> None:
        await asyncio.sleep(_RETRY_S)
        self._wake.set()

    async def _make_what_is_missing(self) -> None:
        connection, now = self._mesh.connection, asyncio.get_running_loop().time()
        self._wanted = {name: wanted for name, wanted in self._wanted.items() if wanted[0] > now}
        if not self._wanted or connection.state != "connected":
            return
        if self._connects != connection.connects:
            self._connects, self._sure = connection.connects, set()
        names = await _all(connection, f"CONSUMER.NAMES.{ASKS}", _Page[str])
        self._sure.intersection_update(names)
        for name, (_, target) in tuple(self._wanted.items()):
            if name not in self._sure:
                await self._make(target)
                self._sure.add(name)

    async def _make(self, target: Target) -> None:
        error = await self._create(target)
        if error is not None and error.err_code != _NOT_UNIQUE and error.code != 503:
            # One of an older kind that cannot be changed into this one. What it had given out is given out again.
            _log.warning("consumer %s is made anew: %s", target.consumer, error.description)
            await call(self._mesh.connection, f"CONSUMER.DELETE.{ASKS}.{target.consumer}", {}, ApiReply)
            error = await self._create(target)
        if error is None:
            self.made += 1
        elif error.code == 503:
            raise MeshUnavailable(f"consumer {target.consumer}: {error.description}")
        else:
            _log.error("consumer %s of %s cannot be made: %s", target.consumer, ASKS, error.description)

    async def _create(self, target: Target) -> ApiError | None:
        verb = f"CONSUMER.CREATE.{ASKS}.{target.consumer}.{target.pattern}"
        answer = await call(
            self._mesh.connection, verb, {"stream_name": ASKS, "config": config_of(target)}, ApiReply, timeout_s=5.0
        )
        return answer.error
