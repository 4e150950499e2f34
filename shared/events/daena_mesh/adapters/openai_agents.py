"""What a run of the OpenAI Agents SDK does, while it does it: tools and hand-offs as activities, words as a text.

>>> result = Runner.run_streamed(assistant, question)
>>> async for event in follow(result.stream_events(), agent, task=task, out=out): ...
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

from daena_mesh.adapters.speech import Speech, tell

if TYPE_CHECKING:
    from daena_mesh.agent import Agent
    from daena_mesh.stream_writer import StreamWriter
    from daena_mesh.task import Task

_Event = TypeVar("_Event")


async def follow(
    events: AsyncIterator[_Event], agent: Agent, *, task: Task | None = None, out: StreamWriter | None = None
) -> AsyncIterator[_Event]:
    """Give on what ``result.stream_events()`` gives, and tell of it.

    An agent that takes over, and each item of the run (``tool_called``, ``tool_output``, ``handoff_requested``, …), is
    an activity; with each item ``task`` advances. What models say goes to ``out``, piece by piece.
    """
    speech = Speech(out)
    async with contextlib.AsyncExitStack() as stack:
        if (close := getattr(events, "aclose", None)) is not None:
            stack.push_async_callback(close)
        async for event in events:
            await _take(event, agent, task, speech)
            yield event


async def _take(event: Any, agent: Agent, task: Task | None, speech: Speech) -> None:
    if event.type == "raw_response_event":
        if event.data.type == "response.output_text.delta":
            await speech.say(event.data.delta, event.data.item_id)
    elif event.type == "agent_updated_stream_event":
        await tell(agent, {"state": "agent", "agent": event.new_agent.name})
    elif event.type == "run_item_stream_event":
        await tell(agent, {"state": event.name, "agent": event.item.agent.name, **_tool(event.item.raw_item)})
        if task is not None:
            await task.advance(1, note=event.name)


def _tool(raw: Any) -> dict[str, str]:
    """The name of the tool that is called, where the item is such a call."""
    name = raw.get("name") if isinstance(raw, dict) else getattr(raw, "name", None)
    return {"tool": name} if isinstance(name, str) else {}
