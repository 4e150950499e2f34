"""What a model is given: the history of a session as messages of a conversation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

PROBLEM = "problem"
"""The key of a message's metadata under which a brain says why its answer is none, or no whole one."""
_SYSTEM = "system"
_ASSISTANT = "assistant"


class Message(NamedTuple):
    """One message for the model."""

    role: Literal["system", "user", "assistant"]
    content: str

    def to_dict(self) -> dict[str, str]:
        """As the protocol has it."""
        return {"role": self.role, "content": self.content}


class Question(NamedTuple):
    """What is asked."""

    message_id: str
    sender: str
    content: str
    context: Any = None


class _Said(NamedTuple):
    sender: str
    content: str
    is_own: bool


def conversation(
    history: Sequence[Mapping[str, Any]],
    question: Question,
    *,
    own: str,
    system_prompt: str = "",
    most_messages: int,
    most_characters: int,
) -> list[Message]:
    """Return the conversation that ends with ``question``.

    What the mesh and a brain said of their own troubles is left out, and so is what came after the question. Messages
    of one side that follow one another become one, and the first is never the model's: templates of many models want
    both sides in turn. Where several people speak, each is named.

    Args:
        history: payloads of ``chat.message``, oldest first; the question may be among them.
        question: it is there whatever its length.
        own: the sender whose messages are the model's.
        system_prompt: comes first; empty: nothing does.
        most_messages: how many, the question included.
        most_characters: of all but the question; the oldest go first, whole.
    """
    asked = _Said(question.sender, _with_context(question), is_own=False)
    said = [*_before(history, question.message_id, own, most_messages - 1, most_characters), asked]
    people = {each.sender for each in said if not each.is_own}
    turns: list[Message] = [Message("system", system_prompt)] if system_prompt else []
    first = len(turns)
    for each in said:
        content = f"{each.sender}: {each.content}" if len(people) > 1 and not each.is_own else each.content
        role: Literal["user", "assistant"] = "assistant" if each.is_own else "user"
        if len(turns) == first and each.is_own:
            continue
        if len(turns) > first and turns[-1].role == role:
            turns[-1] = Message(role, f"{turns[-1].content}\n\n{content}")
        else:
            turns.append(Message(role, content))
    return turns


def _before(
    history: Sequence[Mapping[str, Any]], question_id: str, own: str, most_messages: int, most_characters: int
) -> list[_Said]:
    """What was said before the question, within the bounds, oldest first."""
    ids = [payload.get("message_id") for payload in history]
    end = ids.index(question_id) if question_id in ids else len(ids)
    taken: list[_Said] = []
    left = most_characters
    for payload in reversed(history[:end]):
        if (said := _read(payload, own)) is None:
            continue
        left -= len(said.content)
        if left < 0 or len(taken) >= most_messages:
            break
        taken.append(said)
    return taken[::-1]


def _read(payload: Mapping[str, Any], own: str) -> _Said | None:
    sender, content, metadata = (payload.get(key) for key in ("sender", "content", "metadata"))
    if not isinstance(sender, str) or not isinstance(content, str) or sender == _SYSTEM:
        return None
    metadata = metadata if isinstance(metadata, Mapping) else {}
    if isinstance(problem := metadata.get(PROBLEM), Mapping):
        content = content.removesuffix(str(problem.get("sentence", "")))
    if not (content := content.strip()):
        return None
    return _Said(sender, content, sender in {own, _ASSISTANT})


def _with_context(question: Question) -> str:
    if question.context is None:
        return question.content
    context = question.context
    text = context if isinstance(context, str) else msgspec.json.encode(context).decode()
    return f"{question.content}\n\nContext: {text}"
