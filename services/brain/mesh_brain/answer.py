"""Answering a question with a model: its history in, a stream of text out, or one sentence that says why not."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Protocol

from daena_mesh.errors import InvalidEvent
from daena_mesh.mesh import Mesh
from daena_mesh.micro import Figures
from mesh_brain.conversation import PROBLEM, Message, Question, conversation
from mesh_brain.server import Completion, ModelServer
from mesh_brain.settings import BrainSettings
from mesh_brain.trouble import Trouble
from mesh_brain.watch import Watch

_LATER_MESSAGES = 20
"""So many may have come after a question before it is answered."""
_RESERVED = "reserved"
_ROOM = " " * 2_000
"""Kept free while an answer is written, for what its metadata will say in the end."""


class Asked(Protocol):
    """A question, as the queue has it."""

    @property
    def session_id(self) -> str: ...  # noqa: D102 - as in `daena_mesh.asks`
    @property
    def message_id(self) -> str: ...  # noqa: D102
    @property
    def sender(self) -> str: ...  # noqa: D102
    @property
    def content(self) -> str: ...  # noqa: D102
    @property
    def context(self) -> Any: ...  # noqa: D102


class Out(Protocol):
    """Where the answer goes, piece by piece: a `StreamWriter`."""

    metadata: dict[str, Any]

    @property
    def text(self) -> str: ...  # noqa: D102
    async def write(self, text: str) -> None: ...  # noqa: D102


class Answerer:
    """Answers questions with the server's model."""

    def __init__(self, mesh: Mesh, server: ModelServer, settings: BrainSettings) -> None:
        self.answering = 0
        self.figures = Figures()
        self.first_token_ms: float | None = None
        self.watch = Watch(mesh, server, settings, self)
        self._mesh = mesh
        self._server = server
        self._settings = settings

    async def answer(self, asked: Asked, out: Out) -> None:
        """Write the answer to ``out``, with model, token usage and what went wrong in its metadata.

        Raises `MeshUnavailable` where the history cannot be read: then it was not begun.
        """
        self.answering += 1
        begun, went_wrong = time.perf_counter(), "it was not begun, or was cancelled"
        try:
            messages = await self._conversation(asked)
            out.metadata["brain"] = self._settings.brain_id
            try:
                await self._complete(messages, out)
                went_wrong = ""
            except Trouble as trouble:
                went_wrong = trouble.sentence
                await self._tell(trouble, out)
                self.watch.look_soon()
        finally:
            self.answering -= 1
            self.figures.note(time.perf_counter() - begun, went_wrong)

    async def _complete(self, messages: list[Message], out: Out) -> None:
        completion = Completion(await self.watch.model())
        out.metadata[_RESERVED] = _ROOM
        try:
            await self._server.complete(completion, messages, out.write)
        except InvalidEvent as error:
            raise Trouble("long", f"The answer is cut: {error}") from error
        finally:
            del out.metadata[_RESERVED]
            out.metadata.update(completion.to_metadata())
            self.first_token_ms = completion.first_token_ms or self.first_token_ms

    async def _tell(self, trouble: Trouble, out: Out) -> None:
        out.metadata[PROBLEM] = trouble.to_metadata()
        if out.text:
            out.metadata.update(incomplete=True, reason="failed")
        with contextlib.suppress(InvalidEvent):  # where the answer is too long there is no room, and the metadata tells
            await out.write(f"\n\n{trouble.sentence}" if out.text else trouble.sentence)

    async def _conversation(self, asked: Asked) -> list[Message]:
        settings = self._settings
        chat = self._mesh.chat(asked.session_id)
        history = await chat.history(settings.brain_history_messages + _LATER_MESSAGES)
        return conversation(
            [event.payload for event in history],
            Question(asked.message_id, asked.sender, asked.content, asked.context),
            own=settings.brain_sender,
            system_prompt=settings.brain_system_prompt,
            most_messages=settings.brain_history_messages,
            most_characters=settings.brain_history_characters,
        )
