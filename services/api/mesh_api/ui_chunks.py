"""One answer as chunks of the AI SDK's UI message stream (`ai` 7, stream protocol v1). Pure: events in, chunks out."""

from __future__ import annotations

from typing import Any

from daena_mesh.answers import answer_id, is_answer, is_refusal
from daena_mesh.asks import Ask
from daena_mesh.assembly import Assembly
from daena_mesh.events import Event

Chunk = dict[str, Any]

_ON_REQUEST = frozenset({"stopped", "cancelled"})


class UiChunks:
    """The answer to a question, or a message that is being written, as it comes.

    What is shown only grows. Where another writer takes over and writes something else, the step is reset, which takes
    back what was shown of it.
    """

    def __init__(self, question: Ask | None = None, message_id: str = "") -> None:
        """The message that ends ``question``; without one that with the id ``message_id``."""
        self.is_ended = False
        self._question = question
        self._message_id = message_id
        self._sender: Any = None
        self._assembly = Assembly()
        self._run = ""
        self._next = 0
        self._shown = ""
        self._texts = 0
        self._has_begun = self._is_open = False

    def take(self, event: Event) -> list[Chunk]:
        """What an event of the session adds; often nothing."""
        if self.is_ended:
            return []
        if event.event_type == "chat.delta":
            return self._piece(event.payload)
        if event.event_type == "session.deleted":
            return self.fail("The session was deleted.")
        return self._end(event) if self._is_end(event) else []

    def fail(self, why: str) -> list[Chunk]:
        """End it with an error."""
        self.is_ended = True
        return [*self._close(), {"type": "error", "errorText": why}]

    # -- pieces -------------------------------------------------------------------------------------------------

    def _piece(self, payload: dict[str, Any]) -> list[Chunk]:
        run, index, text = (payload.get(key) for key in ("run", "index", "text"))
        if not isinstance(index, int) or not isinstance(text, str) or not self._is_of(payload):
            return []
        self._message_id = str(payload.get("message_id"))  # the answer's, from its first piece on
        self._sender = payload.get("sender")
        if not self._assembly.take(str(run), index, text):
            return []
        if run == self._run and index == self._next:  # nearly always
            self._next += 1
            return self._add(text)
        if index == 0 and not self._run:
            self._run, self._next = str(run), 1
            return self._add(text)
        self._run = ""  # each piece is compared with all that was shown, until it has caught up
        whole = self._assembly.text
        if self._shown.startswith(whole):
            return []
        if self._assembly.is_whole:
            self._run, self._next = str(run), index + 1
        return self._show(whole)

    def _is_of(self, payload: dict[str, Any]) -> bool:
        message_id = payload.get("message_id")
        if self._message_id or self._question is None:
            return bool(message_id) and message_id == self._message_id
        asked = self._question.message_id
        return message_id == answer_id(self._question.session_id, asked) or payload.get("in_reply_to") == asked

    # -- the end ------------------------------------------------------------------------------------------------

    def _is_end(self, event: Event) -> bool:
        if event.payload.get("message_id") == self._message_id != "":
            return True
        return self._question is not None and is_answer(event, self._question)

    def _end(self, event: Event) -> list[Chunk]:
        content = str(event.payload.get("content", ""))
        if is_refusal(event):
            return self.fail(content)
        metadata = event.payload.get("metadata")
        is_cut = isinstance(metadata, dict) and metadata.get("incomplete") is True
        reason = str(metadata.get("reason", "")) if isinstance(metadata, dict) else ""
        if not self._has_begun:
            self._message_id, self._sender = str(event.payload.get("message_id")), event.payload.get("sender")
        chunks = [*self._begin(), *self._show(content)]
        if is_cut and reason not in _ON_REQUEST:
            return [*chunks, *self.fail(f"The answer is incomplete: {reason or 'nobody says why'}.")]
        self.is_ended = True
        if is_cut:
            return [*chunks, *self._close(), {"type": "abort", "reason": reason}]
        told = {"sender": event.payload.get("sender"), "cursor": event.cursor}
        return [*chunks, *self._close(), {"type": "finish", "finishReason": "stop", "messageMetadata": told}]

    # -- chunks -------------------------------------------------------------------------------------------------

    def _begin(self) -> list[Chunk]:
        if self._has_begun:
            return []
        self._has_begun = True
        told = {"sender": self._sender}
        return [{"type": "start", "messageId": self._message_id, "messageMetadata": told}, {"type": "start-step"}]

    def _show(self, whole: str) -> list[Chunk]:
        if whole.startswith(self._shown):
            return self._add(whole[len(self._shown) :])
        self._shown, self._is_open = "", False
        return [{"type": "reset-step"}, *self._add(whole)]

    def _add(self, text: str) -> list[Chunk]:
        if not text:
            return []
        begun = self._begin()
        if not self._is_open:
            self._is_open = True
            self._texts += 1
            begun.append({"type": "text-start", "id": str(self._texts)})
        self._shown += text
        return [*begun, {"type": "text-delta", "id": str(self._texts), "delta": text}]

    def _close(self) -> list[Chunk]:
        ended: list[Chunk] = [{"type": "text-end", "id": str(self._texts)}] if self._is_open else []
        self._is_open = False
        return [*ended, {"type": "finish-step"}] if self._has_begun else ended
