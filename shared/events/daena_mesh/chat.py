"""One session's chat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from daena_mesh import codec, replay
from daena_mesh.cursors import Cursor
from daena_mesh.errors import InvalidCursor
from daena_mesh.events import ChatMessage, Event
from daena_mesh.feed import Gap, event_of
from daena_mesh.ids import derived_id, now, uuid7
from daena_mesh.layout import RECORDS
from daena_mesh.log import Ack
from daena_mesh.stream_writer import StreamWriter
from daena_mesh.subjects import check_id, check_name, subject_for

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh


class Chat:
    """What is said in one session."""

    def __init__(self, mesh: Mesh, session_id: str, *, author: str | None = None) -> None:
        """Prefer `Mesh.chat`; raises `InvalidId`."""
        self.session_id = check_id(session_id, "session_id")
        self._mesh = mesh
        self._author = None if author is None else check_name(author, "author")

    @property
    def author(self) -> str | None:
        """The last token of what is published here, if there is one."""
        return self._author or self._mesh.author

    async def send(
        self,
        content: str,
        *,
        sender: str,
        metadata: dict[str, Any] | None = None,
        message_id: str | None = None,
    ) -> Ack:
        """Say something; returns once it is stored. Under the same ``message_id`` it is stored once.

        Raises `InvalidEvent` and `MeshUnavailable`.
        """
        message_id = message_id or uuid7()
        message = ChatMessage(
            session_id=self.session_id,
            sender=sender,
            content=content,
            message_id=message_id,
            metadata=metadata or {},
        )
        subject = subject_for("chat.message", self.session_id, self.author)
        return await self._mesh.publish(subject, message.to_dict(), event_id=message_id)

    def stream(
        self,
        sender: str,
        *,
        message_id: str | None = None,
        in_reply_to: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> StreamWriter:
        """Say something piece by piece.

        >>> async with mesh.chat("s-42").stream(sender="daena") as out:
        ...     await out.write("Hel")
        ...     await out.write("lo")
        """
        return StreamWriter(
            self._mesh,
            self.session_id,
            sender,
            message_id=message_id,
            in_reply_to=in_reply_to,
            metadata=metadata,
            author=self._author,
        )

    def encode(self, message: ChatMessage, *, most_bytes: int) -> bytes:
        """The body of a message; raises `InvalidEvent`."""
        return codec.encode(
            message.event_type,
            message.to_dict(),
            event_id=message.message_id,
            timestamp=now(),
            source=self._mesh.source,
            most_bytes=most_bytes,
        )

    async def finish(self, message: ChatMessage) -> Ack:
        """Store the message in which a stream of text ends: once for its ``message_id``, whoever writes it.

        Raises `InvalidEvent` and `MeshUnavailable`.
        """
        body = self.encode(message, most_bytes=self._mesh.settings.max_body_bytes)
        return await self._mesh.log.append(
            subject_for("chat.message", self.session_id, self.author),
            body,
            event_id=message.message_id,
            msg_id=derived_id("message of a stream", self.session_id, message.message_id),
        )

    async def listen(self, since: str | None = None) -> AsyncIterator[Event]:
        """Messages from now on, or from the cursor ``since`` on, over reconnects. Raises `InvalidCursor`."""
        pattern = f"chat.{self.session_id}.message"
        async with self._mesh.subscribe(pattern, f"{pattern}.*", since=since) as feed:
            async for item in feed:
                if not isinstance(item, Gap):
                    yield item

    async def history(self, limit: int = 50, *, before: str | None = None) -> list[Event]:
        """The newest ``limit`` messages, or those before the cursor ``before``; oldest first.

        Raises `InvalidCursor` and `MeshUnavailable`.
        """
        log = self._mesh.log
        end = self._before(before) if before else None
        messages = await replay.newest(log, RECORDS, self._patterns, limit, before=end)
        cursors = ((m, log.cursor(m.stream, m.seq)) for m in messages)
        events = (event_of(m, cursor, log.settings.max_body_bytes) for m, cursor in cursors)
        return [event for event in events if event is not None]

    def _before(self, text: str) -> int:
        cursor, here = Cursor.parse(text), self._mesh.log.position(RECORDS, 0)
        if cursor[:2] != here[:2]:
            raise InvalidCursor(
                f"{text!r} is no position in the log of messages, which begin with {here.letter}{here.epoch}-"
            )
        return cursor.seq

    @property
    def _patterns(self) -> tuple[str, ...]:
        pattern = f"chat.{self.session_id}.message"
        return pattern, f"{pattern}.*"
