"""Services of NATS: what `nats micro ls`, `info` and `stats` show, and endpoints that answer requests.

Follows ADR-32 of NATS (https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-32.md), but for the
queue groups: a request reaches every instance, and whom it concerns answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from daena_mesh.connection import Connection, Subscription, header_block
from daena_mesh.errors import MeshUnavailable
from daena_mesh.ids import now

_INBOX = b"_INBOX"
_MOST_AT_ONCE = 100
_MOST_ERROR = 200
_TYPE = "io.nats.micro.v1.{}_response"
_log = logging.getLogger(__name__)

Handle = Callable[[bytes], Awaitable[bytes]]
"""Answers the body of a request."""


class Figures:
    """What an endpoint has done."""

    __slots__ = ("errors", "last_error", "processing_s", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.last_error = ""
        self.processing_s = 0.0

    def note(self, seconds: float, error: str = "") -> None:
        """One more is done; ``error`` says what went wrong."""
        self.requests += 1
        self.processing_s += seconds
        if error:
            self.errors += 1
            self.last_error = error[:_MOST_ERROR]


class Endpoint:
    """One thing that a service does."""

    def __init__(
        self,
        name: str,
        subject: str,
        *,
        handle: Handle | None = None,
        figures: Figures | None = None,
        read: Callable[[Figures], None] | None = None,
        data: Callable[[], Mapping[str, Any]] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """``subject`` is where it is reached.

        What comes there goes to ``handle``; without one the service only tells of it. ``figures`` are those that
        somebody else keeps; ``read`` brings them up to date before they are shown, ``data`` gives more of them.
        """
        self.name = name
        self.subject = subject
        self.handle = handle
        self.figures = figures or Figures()
        self._read = read
        self._data = data
        self._metadata = dict(metadata or {})

    def info(self) -> dict[str, Any]:
        """What INFO tells of it."""
        return {"name": self.name, "subject": self.subject, "queue_group": "", "metadata": self._metadata}

    def stats(self) -> dict[str, Any]:
        """What STATS tells of it."""
        if self._read is not None:
            self._read(self.figures)
        figures = self.figures
        processing_ns = round(figures.processing_s * 1e9)
        stats = {
            "name": self.name,
            "subject": self.subject,
            "queue_group": "",
            "num_requests": figures.requests,
            "num_errors": figures.errors,
            "last_error": figures.last_error,
            "processing_time": processing_ns,
            "average_processing_time": processing_ns // figures.requests if figures.requests else 0,
        }
        return stats if self._data is None else {**stats, "data": dict(self._data())}


class Service:
    """An instance of a service, from `start` to `stop`, over reconnects."""

    def __init__(
        self,
        connection: Connection,
        name: str,
        *,
        instance: str,
        endpoints: Sequence[Endpoint],
        description: str = "",
        metadata: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """``name`` is an id, which all instances share, and so is ``instance``, which is this one's own."""
        self._connection = connection
        self._name = name
        self._instance = instance
        self._endpoints = endpoints
        self._description = description
        self._metadata = metadata
        self._started = now()
        self._subscriptions: list[Subscription] = []
        self._handling: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Answer from now on."""
        if self._subscriptions:
            return
        self._started = now()
        for verb, tell in (("PING", self._ping), ("INFO", self._info), ("STATS", self._stats)):
            for scope in ("", f".{self._name}", f".{self._name}.{self._instance}"):
                self._subscribe(f"$SRV.{verb}{scope}", self._discovery(tell))
        for endpoint in self._endpoints:
            if endpoint.handle is not None:
                self._subscribe(endpoint.subject, self._door(endpoint, endpoint.handle))

    def stop(self) -> None:
        """Answer nothing more."""
        for subscription in self._subscriptions:
            self._connection.unsubscribe(subscription)
        self._subscriptions.clear()
        for handling in self._handling:
            handling.cancel()

    def _subscribe(self, subject: str, handler: Callable[[bytes, bytes, bytes, bytes], None]) -> None:
        self._subscriptions.append(self._connection.subscribe(subject, handler))

    # -- answers ------------------------------------------------------------------------------------------------

    def _discovery(self, tell: Callable[[], dict[str, Any]]) -> Callable[[bytes, bytes, bytes, bytes], None]:
        def handler(_subject: bytes, reply: bytes, _headers: bytes, _body: bytes) -> None:
            if _is_inbox(reply):
                self._answer(reply, msgspec.json.encode(tell()))

        return handler

    def _door(self, endpoint: Endpoint, handle: Handle) -> Callable[[bytes, bytes, bytes, bytes], None]:
        def handler(_subject: bytes, reply: bytes, _headers: bytes, body: bytes) -> None:
            if len(self._handling) >= _MOST_AT_ONCE:
                endpoint.figures.note(0, "too many requests at once")
                return
            task = asyncio.create_task(self._handle(endpoint, handle, reply, body), name=f"request to {self._name}")
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)

        return handler

    async def _handle(self, endpoint: Endpoint, handle: Handle, reply: bytes, body: bytes) -> None:
        began = time.perf_counter()
        answer, headers, error = b"", b"", ""
        try:
            answer = await handle(body)
        except Exception as raised:  # noqa: BLE001 - a request must not end the service
            _log.exception("a request to %s of %s failed", endpoint.name, self._name)
            error = f"{type(raised).__name__}: {raised}"
            headers = header_block({"Nats-Service-Error": type(raised).__name__, "Nats-Service-Error-Code": "500"})
        endpoint.figures.note(time.perf_counter() - began, error)
        if _is_inbox(reply):
            self._answer(reply, answer, headers)

    def _answer(self, reply: bytes, body: bytes, headers: bytes = b"") -> None:
        with contextlib.suppress(MeshUnavailable):
            self._connection.publish(reply.decode("ascii", "replace"), body, headers)

    # -- what it tells of itself --------------------------------------------------------------------------------

    def _ping(self) -> dict[str, Any]:
        return self._tell("ping")

    def _info(self) -> dict[str, Any]:
        endpoints = [endpoint.info() for endpoint in self._endpoints]
        return {**self._tell("info"), "description": self._description, "endpoints": endpoints}

    def _stats(self) -> dict[str, Any]:
        endpoints = [endpoint.stats() for endpoint in self._endpoints]
        return {**self._tell("stats"), "started": self._started, "endpoints": endpoints}

    def _tell(self, kind: str) -> dict[str, Any]:
        from daena_mesh import __version__  # it stands where everything is imported from

        return {
            "type": _TYPE.format(kind),
            "name": self._name,
            "id": self._instance,
            "version": __version__,
            "metadata": dict(self._metadata()),
        }


def _is_inbox(reply: bytes) -> bool:
    """NATS lets who asks name any reply subject: an answer must not be an event, published with our rights."""
    return reply.startswith(_INBOX)
