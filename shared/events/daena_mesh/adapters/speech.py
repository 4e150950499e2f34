"""What adapters share: words become pieces of a text, and whatever a library says an activity, without ever failing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daena_mesh.errors import InvalidEvent

if TYPE_CHECKING:
    from daena_mesh.agent import Agent
    from daena_mesh.stream_writer import StreamWriter

_MOST_TEXT = 500


class Speech:
    """The words of one run, of which each message is a paragraph."""

    def __init__(self, out: StreamWriter | None) -> None:
        self._out = out
        self._message_id: str | None = None

    async def say(self, text: str, message_id: str | None) -> None:
        """Write ``text``, a part of the message ``message_id``; what is too long for one event is left out."""
        if self._out is None or not text:
            return
        if self._message_id not in {None, message_id}:
            text = f"\n\n{text}"
        self._message_id = message_id
        try:
            await self._out.write(text)
        except InvalidEvent:  # what fits was kept, and the message will say that it is incomplete
            self._out = None


async def tell(agent: Agent, state: Any) -> None:
    """An activity: a text or a JSON object; anything else as Python shows it."""
    try:
        await agent.activity(state if isinstance(state, (str, dict)) else repr(state)[:_MOST_TEXT])
    except InvalidEvent:
        await agent.activity(repr(state)[:_MOST_TEXT])
