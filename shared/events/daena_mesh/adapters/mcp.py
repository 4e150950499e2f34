"""Calls of MCP tools as tasks: what a server says of its progress becomes ``task.update``.

>>> result = await call_tool(agent, session, "index", {"folder": "docs"})
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from daena_mesh.ids import uuid7

if TYPE_CHECKING:
    from daena_mesh.agent import Agent
    from daena_mesh.task import Task

_MOST_TEXT = 500


class ToolFailed(Exception):
    """What a tool answered says that it failed; it is the reason of the task, and raised to nobody."""


async def call_tool(
    agent: Agent,
    session: Any,
    name: str,
    arguments: dict[str, Any] | None = None,
    *,
    task_id: str | None = None,
    **options: Any,
) -> Any:
    """Call a tool within a task of ``agent``, and give what ``session.call_tool`` gives.

    ``session`` is a ``ClientSession`` or a ``Client`` of the ``mcp`` package; ``options`` go on to it. A tool that says
    it failed ends the task as failed. Gives None where the task was cancelled through the mesh.
    """
    result = None
    try:
        async with agent.task(task_id or uuid7(), title=name) as task:
            result = await session.call_tool(name, arguments, progress_callback=progress_of(task), **options)
            if getattr(result, "is_error", getattr(result, "isError", False)):
                raise ToolFailed(_text(result))
    except ToolFailed:
        pass
    return result


def progress_of(task: Task) -> Callable[[float, float | None, str | None], Awaitable[None]]:
    """A ``progress_callback`` for the calls of one tool within ``task``, of which it is all the progress."""

    async def progress(done: float, total: float | None, message: str | None) -> None:
        if task.status == "running":
            if total is not None:
                task.total = total
            await task.advance(max(0.0, done - task.progress.done), note=message)

    return progress


def _text(result: Any) -> str:
    texts = (getattr(part, "text", "") for part in result.content)
    return " ".join(filter(None, texts))[:_MOST_TEXT]
