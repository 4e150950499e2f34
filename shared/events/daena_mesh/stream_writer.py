"""Writing a message piece by piece: ``chat.delta`` while it grows, one ``chat.message`` at the end.

The message is stored under an id that only session and ``message_id`` make, so that exactly one is: by this writer, by
another one that took over, or by an API that found the writer dead.
"""

from __future__ import annotations

import asyncio
import logging
import math
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from daena_mesh.connection import State, Subscription
from daena_mesh.errors import InvalidEvent, MeshError
from daena_mesh.events import ChatDelta, ChatMessage
from daena_mesh.feed import event_of
from daena_mesh.ids import uuid7
from daena_mesh.layout import SIGNALS
from daena_mesh.log import Ack
from daena_mesh.pieces import Piece, Pieces, fitting
from daena_mesh.stored import read_live
from daena_mesh.subjects import check_id, subject_for

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh

_LAST_PIECES_S = 1.0
_AGAIN_S = 3.0
_SIGNALS_ALONE = {b"Nats-Stream: SIGNALS": SIGNALS}
_ENDED_EARLY: dict[str, Any] = {"incomplete": True, "reason": "cancelled"}
_log = logging.getLogger(__name__)


class StreamWriter:
    """A message that is being written, for ``async with``.

    The block's end stores the message. Where the block raises, is cancelled or is stopped by a ``chat.stop``, what
    there is by then is stored with ``metadata.incomplete`` and a ``metadata.reason`` (``failed``, ``cancelled``,
    ``stopped``). A stop cancels the task of the block, and the block then ends without an error.
    """

    def __init__(
        self,
        mesh: Mesh,
        session_id: str,
        sender: str,
        *,
        message_id: str | None = None,
        in_reply_to: str | None = None,
        metadata: dict[str, Any] | None = None,
        author: str | None = None,
    ) -> None:
        """Prefer `Chat.stream`; raises `InvalidId`."""
        self.session_id = check_id(session_id, "session_id")
        self._author = author
        self.sender = sender
        self.message_id = message_id or uuid7()
        self.metadata: dict[str, Any] = dict(metadata or {})
        """What the message will carry; it may be filled until the block ends."""
        if in_reply_to is not None:
            self.metadata["in_reply_to"] = in_reply_to
        self.ack: Ack | None = None
        """After the block: where the message is. ``duplicate`` where somebody else has ended it before."""
        self._mesh = mesh
        self._pieces: Pieces | None = None
        self._changed = asyncio.Event()
        self._is_open = False
        self._is_cut = False
        self._is_stopped = False
        self._is_abandoned = False
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._sending: asyncio.Task[None] | None = None
        self._subscriptions: list[Subscription] = []

    @property
    def text(self) -> str:
        """What was written so far."""
        return self._pieces.text if self._pieces is not None else ""

    @property
    def is_stopped(self) -> bool:
        """Whether a ``chat.stop`` has ended it."""
        return self._is_stopped

    @property
    def is_cut(self) -> bool:
        """Whether not all that was written fits into one event."""
        return self._is_cut

    async def write(self, text: str) -> None:
        """Append ``text``. It is sent soon, and nothing is waited for.

        Raises `InvalidEvent` where the message would no longer fit into one event (``MESH_MAX_BODY_BYTES``): what fits
        of it is kept, and the message will be an incomplete one.
        """
        if self._pieces is None or not self._is_open:
            raise MeshError("this stream of text has not begun, or has ended")
        kept = "" if self._is_cut else fitting(text, self._room_bytes() - self._pieces.size_bytes)
        if kept:
            self._pieces.write(kept)
            self._changed.set()
        if len(kept) < len(text):
            self._is_cut = True
            raise InvalidEvent(
                f"the text is longer than one event holds: with all around it {self._mesh.settings.max_body_bytes} "
                "bytes are allowed (MESH_MAX_BODY_BYTES)"
            )
        await asyncio.sleep(0)  # so that it also goes out where the writer waits for nothing else

    def abandon(self) -> None:
        """End without a message: another writer will write it, under the same ``message_id``."""
        self._is_abandoned = True

    async def __aenter__(self) -> Self:
        self._pieces = Pieces(asyncio.get_running_loop().time())
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0
        subject = f"live.{subject_for('chat.stop', self.session_id)}"
        connection = self._mesh.connection
        self._subscriptions = [connection.subscribe(name, self._hear) for name in (subject, f"{subject}.*")]
        connection.watch(self._state_changed)
        self._is_open = True
        self._sending = asyncio.create_task(self._send(self._pieces), name="pieces of a text")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._is_open = False
        is_ended_by_stop = self._is_ended_by_stop(error)
        try:
            await self._send_the_rest()
            if not self._is_abandoned:
                await self._finish(self._reason(error))
        except MeshError as failure:
            if error is None or is_ended_by_stop:
                raise
            _log.warning("chat %s: what was written until an error is not stored: %s", self.session_id, failure)
        finally:
            self._let_go()
        return is_ended_by_stop

    def _is_ended_by_stop(self, error: BaseException | None) -> bool:
        """Whether a stop, and nobody else, has cancelled the block's task: so `asyncio.timeout` does it."""
        if not self._is_stopped or self._task is None:
            return False
        return self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError)

    def _reason(self, error: BaseException | None) -> str | None:
        if self._is_stopped:
            return "stopped"
        if isinstance(error, asyncio.CancelledError):
            return "cancelled"
        return "failed" if error is not None or self._is_cut else None

    # -- the message --------------------------------------------------------------------------------------------

    def _message(self, content: str, metadata: dict[str, Any]) -> ChatMessage:
        return ChatMessage(
            session_id=self.session_id,
            sender=self.sender,
            content=content,
            message_id=self.message_id,
            metadata=metadata,
        )

    def _room_bytes(self) -> int:
        """What the text may take; raises `InvalidEvent` for metadata that is none."""
        message = self._message("", {**self.metadata, **_ENDED_EARLY})
        most_bytes = self._mesh.settings.max_body_bytes
        return most_bytes - len(
            self._mesh.chat(self.session_id, author=self._author).encode(message, most_bytes=most_bytes)
        )

    async def _finish(self, reason: str | None) -> None:
        chat = self._mesh.chat(self.session_id, author=self._author)
        metadata = self.metadata if reason is None else {**self.metadata, "incomplete": True, "reason": reason}
        try:
            self.ack = await chat.finish(self._message(self.text, metadata))
        except InvalidEvent:
            # The metadata is too large, or no JSON: the text must not be lost with it.
            kept = {key: self.metadata[key] for key in ("in_reply_to",) if key in self.metadata}
            rest = self._message(self.text, {**kept, "incomplete": True, "reason": "failed"})
            self.ack = await chat.finish(rest)
            raise
        if self.ack.duplicate:
            _log.info("chat %s: message %s was ended by another", self.session_id, self.message_id)

    # -- the pieces ---------------------------------------------------------------------------------------------

    async def _send(self, pieces: Pieces) -> None:
        """Send what is due, one at a time, until all is sent after the block's end."""
        clock = asyncio.get_running_loop().time
        losses, again_at = self._losses(), math.inf
        while self._is_open or pieces.is_waiting:
            # While NATS is away the text is kept here, where none of it can be dropped to make room for others.
            if self._mesh.connection.state != "connected":
                await self._wait(None)
                continue
            if losses != self._losses():
                losses, again_at = self._losses(), clock() + _AGAIN_S
                pieces.renew(clock())
            elif clock() >= again_at:
                again_at = math.inf
                pieces.renew(clock())
            delay_s = min(pieces.due_at, again_at) - clock()
            if self._is_open and delay_s > 0:
                await self._wait(delay_s)
                continue
            try:
                await self._publish(pieces.take(clock()))
            except MeshError as error:
                _log.warning("chat %s: a piece of a text is not sent: %s", self.session_id, error)

    def _losses(self) -> tuple[int, int]:
        """Changes when a piece may be lost: dropped to make room, or gone with a nats-server that died.

        Signals are written lazily, and a server that crashed gives the sequences of what it lost out again. Who came
        back later than this writer takes what has them for known: so all of the text is sent once more for these.
        """
        return self._mesh.signals_dropped, self._mesh.connection.connects

    async def _wait(self, delay_s: float | None) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(delay_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _publish(self, piece: Piece) -> None:
        delta = ChatDelta(
            session_id=self.session_id,
            sender=self.sender,
            message_id=self.message_id,
            index=piece.index,
            text=piece.text,
            run=piece.run,
        )
        payload = delta.to_dict()
        if piece.index == 0 and isinstance(reply := self.metadata.get("in_reply_to"), str):
            payload["in_reply_to"] = reply
        await self._mesh.publish(subject_for("chat.delta", self.session_id, self._author or self._mesh.author), payload)

    async def _send_the_rest(self) -> None:
        """Give the last pieces a moment to go before the message."""
        self._changed.set()
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=_LAST_PIECES_S)

    def _let_go(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        self._mesh.connection.unwatch(self._state_changed)
        for subscription in self._subscriptions:
            self._mesh.connection.unsubscribe(subscription)

    def _state_changed(self, state: State) -> None:  # noqa: ARG002 - it is looked at where it counts
        self._changed.set()

    # -- stop ---------------------------------------------------------------------------------------------------

    def _hear(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        message = read_live(_SIGNALS_ALONE, subject, reply, headers, body)
        event = event_of(message, "", self._mesh.settings.max_body_bytes) if message is not None else None
        if event is None or event.payload.get("message_id") not in {None, self.message_id}:
            return
        if self._is_open and not self._is_stopped and self._task is not None:
            self._is_stopped = True
            self._task.cancel("stopped by a chat.stop")
