"""Ends the messages whose writers died: what was written of them is stored, and marked incomplete.

Every API has a tender, and all of them store it under the same id as the writer would: once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from daena_mesh.answers import answer_id
from daena_mesh.errors import MeshError, MeshUnavailable
from daena_mesh.events import ChatMessage
from daena_mesh.layout import RECORDS
from daena_mesh.mesh import Mesh
from daena_mesh.pieces import fitting
from daena_mesh.presence import Watch
from daena_mesh.rounds import make_rounds
from mesh_api.text_streams import TextStream
from mesh_api.unfinished import Unfinished

SILENT_S = 15.0
"""How long nothing may come of a writer; one that lives says so three times in it."""

_QUIET_S = 3.0
"""After how long one looks whether it has ended."""
_PAUSE_S = 1.0
_log = logging.getLogger(__name__)


class StreamTender:
    """Looks on while messages are written."""

    def __init__(self, mesh: Mesh, unfinished: Unfinished, *, ask_timeout_s: float) -> None:
        """The answer to a question has ``ask_timeout_s`` more: as long as it lies in the queue another may write it."""
        self.ended = 0
        """How many messages it has ended, before anybody else."""
        self._mesh = mesh
        self._unfinished = unfinished
        self._quiet, self._silent = Watch(_QUIET_S), Watch(SILENT_S)
        self._unanswered = Watch(2 * SILENT_S + ask_timeout_s)
        self._looked_up: dict[str, int] = {}

    async def run(self) -> None:
        """For ever."""
        await make_rounds(
            self._tend,
            every_s=_PAUSE_S,
            connection=self._mesh.connection,
            blind=self._blind,
            doing="tending streams of text",
            log=_log,
        )

    def _blind(self) -> None:
        """Who cannot see the writers cannot say that they are silent."""
        for watch in (self._quiet, self._silent, self._unanswered):
            watch.blind()

    async def _tend(self) -> None:
        await self._unfinished.scan()
        streams = {stream.key: stream for stream in self._unfinished}
        standing = {key: stream.last_seq for key, stream in streams.items()}
        at = asyncio.get_running_loop().time()
        answers = {key: seq for key, seq in standing.items() if _is_answer(streams[key])}
        others = {key: seq for key, seq in standing.items() if key not in answers}
        silent = {*self._silent.dead(others, at), *self._unanswered.dead(answers, at)}
        looked_up = {key: seq for key, seq in self._looked_up.items() if standing.get(key) == seq}
        for key in self._quiet.dead(standing, at):
            if key in silent or looked_up.get(key) != standing[key]:
                await self._look_up(streams[key], is_silent=key in silent)
                looked_up[key] = standing[key]
        self._looked_up = looked_up

    async def _look_up(self, stream: TextStream, *, is_silent: bool) -> None:
        if await self._unfinished.is_ended(stream):
            self._unfinished.forget(stream)
        elif is_silent:
            try:
                await self._end(stream)
            except MeshUnavailable:
                raise
            except MeshError as error:
                _log.warning("session %s: a message without a writer cannot be ended: %s", stream.session_id, error)
            self._unfinished.forget(stream)

    async def _end(self, stream: TextStream) -> None:
        """Store what was written; raises `MeshError`."""
        if await self._mesh.log.last(RECORDS, f"session.{stream.session_id}.deleted") is not None:
            return
        metadata: dict[str, Any] = {"incomplete": True, "reason": "lost"}
        if stream.in_reply_to is not None:
            metadata["in_reply_to"] = stream.in_reply_to
        chat, most_bytes = self._mesh.chat(stream.session_id, author=stream.author), self._mesh.settings.max_body_bytes
        text = await self._unfinished.text_of(stream)
        message = ChatMessage(
            session_id=stream.session_id,
            sender=stream.sender or "unknown",
            content=text,
            message_id=stream.message_id,
            metadata=metadata,
        )
        empty = chat.encode(_with(message, ""), most_bytes=most_bytes)
        ack = await chat.finish(_with(message, fitting(text, most_bytes - len(empty))))
        self.ended += not ack.duplicate
        _log.info("session %s: %s wrote a message and was not heard of any more", stream.session_id, message.sender)


def _is_answer(stream: TextStream) -> bool:
    """Whether it answers a question from the queue, which somebody else may be given, or `mesh_api.unanswered` ends."""
    return stream.in_reply_to is not None and stream.message_id == answer_id(stream.session_id, stream.in_reply_to)


def _with(message: ChatMessage, content: str) -> ChatMessage:
    return msgspec.structs.replace(message, content=content)
