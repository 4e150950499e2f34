"""`Mesh`: the way in for agents and services."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from daena_mesh import codec
from daena_mesh.agent import ACTIVITIES_PER_S, Agent
from daena_mesh.asking import Answer, ask
from daena_mesh.brain import Brain
from daena_mesh.chat import Chat
from daena_mesh.connection import Connection
from daena_mesh.context import read_context
from daena_mesh.credentials import inbox_of, read_credentials
from daena_mesh.cursors import Positions
from daena_mesh.errors import ConfigurationError, MeshUnavailable
from daena_mesh.feed import Feed
from daena_mesh.ids import dedup_id, now, uuid7
from daena_mesh.layout import SIGNALS, TTL_S, Layout
from daena_mesh.local import running_mesh
from daena_mesh.log import Ack, Log
from daena_mesh.log_door import LogDoor
from daena_mesh.outbox import Outbox
from daena_mesh.permissions import role_of
from daena_mesh.settings import MeshSettings, load
from daena_mesh.subjects import Subject, check_id, check_name, event_type_of
from daena_mesh.tending import tend


class Mesh:
    """A connection to the mesh, and what can be done with it.

    >>> async with Mesh.connect() as mesh:
    ...     await mesh.chat("s-42").send("Hello!", sender="user")
    """

    def __init__(
        self,
        settings: MeshSettings,
        *,
        name: str,
        wait_s: float = 5.0,
        source: str | None = None,
        author: str | None = None,
        provisions: bool = False,
    ) -> None:
        """Prefer `connect`.

        ``wait_s`` is how long a record waits for NATS; ``source`` is written into each event; ``author`` ends the
        subjects of chats and tasks; who ``provisions`` creates and upgrades the streams after every connect. Raises
        `ConfigurationError`, and `InvalidId` for an author that is no name.
        """
        urls, credentials = whereabouts(settings)
        self.settings = settings
        self.source = source or name
        user = read_credentials(credentials) if credentials else None
        self.role = role_of(user.tags) if user is not None and user.tags else ""
        """What its credentials are for; empty where it has none, or they are not of the mesh's making."""
        door = LogDoor.of(user)
        if door is not None:
            author = author or door.name  # NATS takes nothing under another name
        self.author = None if author is None else check_name(author, "author")
        """Who publishes: the last token of what goes out about chats and tasks. An agent's, while it is entered."""
        self.layout = Layout.from_setting(settings.subjects)
        # Who is told of no server goes on looking for the mesh of this machine: it may be started later.
        find = None if settings.nats_url or settings.nats_context else running_mesh
        self.connection = Connection(
            urls,
            name=name,
            credentials=credentials,
            inbox=inbox_of(user),
            find=find,
            authority=authority_of(settings),
        )
        self.log = Log(self.connection, self.layout, settings, patience_s=wait_s, door=door)
        self._provisions = provisions
        if provisions:
            self.connection.on_up(self.log.provision)
        self.connection.on_up(self.log.reconnected)
        self.wait_s = wait_s
        self._outbox = Outbox(self._store)
        if settings.traces:
            from daena_mesh import otel

            otel.enable(settings.traces, name.partition("/")[0])
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        *,
        name: str = "mesh-sdk",
        wait_s: float = 5.0,
        source: str | None = None,
        author: str | None = None,
    ) -> Self:
        """A mesh for ``async with``.

        Looks for ``url``, then ``MESH_NATS_URL``, the ``nats`` context named by ``MESH_NATS_CONTEXT``, the mesh that
        runs on this machine, and localhost:4222. Entering raises `MeshUnavailable` when NATS does not answer in
        ``wait_s`` seconds. With an ``author`` what is published about chats and tasks names it. Raises
        `ConfigurationError` and `InvalidId`.
        """
        return cls(load(MeshSettings, nats_url=url), name=name, wait_s=wait_s, source=source, author=author)

    def start(self) -> None:
        """Begin to connect, in the background."""
        self.connection.start()
        if not self._tasks:
            self._tasks = [asyncio.create_task(self.log.watch_leaders(), name="watch leaders")]
            if self._provisions:
                self._tasks.append(asyncio.create_task(tend(self.log), name="tend streams"))

    async def close(self) -> None:
        """Send what waits, if NATS is there, and end."""
        await self._outbox.close()
        for task in self._tasks:
            task.cancel()
        await self.connection.close()

    async def __aenter__(self) -> Self:
        self.start()
        try:
            await self.connection.wait_ready(self.wait_s)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- events -------------------------------------------------------------------------------------------------

    async def publish(self, subject: str, payload: dict[str, Any], *, event_id: str | None = None) -> Ack:
        """Store an event on ``subject`` and return its position.

        With the same ``event_id`` on the same subject nothing is stored twice within the stream's window. Raises
        `InvalidId`, `InvalidSubject`, `NotCovered`, `InvalidEvent`, and `MeshUnavailable` for a record that could
        not be stored. A signal that cannot be stored now is kept, the oldest dropped and counted, and its
        acknowledgement has an empty cursor.
        """
        event_id = event_id or uuid7()
        return await self.put(subject, self.encode(subject, payload, event_id), event_id)

    def encode(self, subject: str, payload: dict[str, Any], event_id: str) -> bytes:
        """The body of an event, for `put`; raises `InvalidId`, `InvalidSubject` and `InvalidEvent`."""
        return codec.encode(
            Subject.parse(subject).event_type,
            payload,
            event_id=event_id,
            timestamp=now(),
            source=self.source,
            most_bytes=self.settings.max_body_bytes,
        )

    async def put(self, subject: str, body: bytes, event_id: str, *, patience_s: float | None = None) -> Ack:
        """Store what `encode` made, as `publish` does; ``patience_s`` is how long it waits for a lost connection."""
        stream = self.layout.stream_of(subject)
        if stream == SIGNALS and not self.connection.is_closed:
            await self.connection.wait_tried(self.wait_s)
            if self.connection.state != "connected" or self._outbox:
                return self._outbox.keep(subject, body, event_id)  # also behind others, so that the newest comes last
        try:
            return await self._store(subject, body, event_id, patience_s)
        except MeshUnavailable:
            if stream == SIGNALS and not self.connection.is_closed:
                return self._outbox.keep(subject, body, event_id)
            raise

    async def _store(self, subject: str, body: bytes, event_id: str, patience_s: float | None = None) -> Ack:
        return await self.log.append(
            subject,
            body,
            event_id=event_id,
            msg_id=dedup_id(subject, event_id),
            ttl_s=TTL_S.get(event_type_of(subject)),
            deadline_s=max(self.wait_s, 5.0),
            patience_s=patience_s,
        )

    @property
    def signals_dropped(self) -> int:
        """How many signals were given up because NATS was away for too long."""
        return self._outbox.dropped

    def subscribe(self, *patterns: str, since: str | Positions | None = None) -> Feed:
        """Events on ``patterns`` from now on, or from ``since`` on, once and in order, over reconnects.

        Yields `Event`, and `Gap` where the log no longer has what was asked for. Raises `InvalidSubject` and
        `InvalidCursor`.
        """
        if self.log.door is not None:
            self.log.door.check(patterns)
        return Feed(self.log, patterns, Positions.parse(since) if isinstance(since, str) else since)

    def chat(self, session_id: str, *, author: str | None = None) -> Chat:
        """The chat of a session, in which ``author`` speaks instead of the mesh's own; raises `InvalidId`."""
        if self.log.door is not None:
            self.log.door.check([f"chat.{check_id(session_id, 'session_id')}.message"])
        return Chat(self, session_id, author=author)

    def agent(
        self,
        name: str,
        *,
        departments: Sequence[str] = (),
        description: str = "",
        concurrency: int = 8,
        activities_per_s: float = ACTIVITIES_PER_S,
    ) -> Agent:
        """An agent for ``async with``: everybody sees that it is there, and what it does.

        It serves ``departments``, and answers ``concurrency`` questions at a time at most. Raises `InvalidId`,
        `ValueError`, and `ConfigurationError` where the credentials are another agent's.
        """
        if self.log.door is not None and name != self.log.door.name:
            raise ConfigurationError(f"the credentials of {self.log.door.name} are not those of {name[:64]!a}")
        return Agent(
            self,
            name,
            departments=departments,
            description=description,
            concurrency=concurrency,
            activities_per_s=activities_per_s,
        )

    async def ask(
        self,
        target: str,
        text: str,
        *,
        session_id: str | None = None,
        sender: str = "user",
        metadata: dict[str, Any] | None = None,
        context: Any = None,
        wait_s: float = 20.0,
    ) -> Answer:
        """Ask ``agent/<id>``, ``department/<id>`` or ``daena``, and wait for the answer for ``wait_s`` seconds.

        The question is stored as a message, in a new session where none is given; ``context`` goes to whoever answers
        and is not stored with it. Raises `InvalidId`, `InvalidEvent`, `MeshUnavailable`, and `Unanswered` where nobody
        answers in time (an answer may still come, as a message) or whoever tried has given up.
        """
        return await ask(
            self,
            target,
            text,
            session_id=session_id,
            sender=sender,
            metadata=metadata,
            context=context,
            wait_s=wait_s,
        )

    def brain(self, brain_id: str = "main") -> Brain:
        """A brain, to report how it is; raises `InvalidId`."""
        return Brain(self, brain_id)


def whereabouts(settings: MeshSettings) -> tuple[Sequence[str], str | None]:
    """The servers to try, and the credentials file. Raises `ConfigurationError` for a context that does not exist."""
    credentials = settings.nats_creds or None
    if settings.nats_url:
        return [url.strip() for url in settings.nats_url.split(",") if url.strip()], credentials
    if settings.nats_context:
        context = read_context(settings.nats_context, os.environ)
        return context.urls, credentials or context.credentials
    return [running_mesh() or "nats://127.0.0.1:4222"], credentials


def authority_of(settings: MeshSettings) -> str | None:
    """The file of who signs the certificates of NATS; None: whom this system trusts. Raises `ConfigurationError`."""
    if settings.nats_ca or settings.nats_url or not settings.nats_context:
        path = settings.nats_ca or None
    else:
        path = read_context(settings.nats_context, os.environ).authority
    if path is not None and not os.access(path, os.R_OK):
        raise ConfigurationError(f"MESH_NATS_CA: {path} cannot be read")
    return path
