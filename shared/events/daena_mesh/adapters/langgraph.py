"""What a LangGraph graph does, while it does it: nodes as activities and progress, its words as a stream of text.

>>> stream = graph.astream(question, stream_mode=["tasks", "messages", "custom", "values"])
>>> async for mode, chunk in follow(stream, agent, task=task, out=out): ...
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from daena_mesh.adapters.speech import Speech, tell

if TYPE_CHECKING:
    from daena_mesh.agent import Agent
    from daena_mesh.stream_writer import StreamWriter
    from daena_mesh.task import Task

_Item = TypeVar("_Item")


async def follow(
    stream: AsyncIterator[_Item],
    agent: Agent,
    *,
    task: Task | None = None,
    out: StreamWriter | None = None,
    nodes: Collection[str] | None = None,
) -> AsyncIterator[_Item]:
    """Give on what ``graph.astream(…, stream_mode=[…])`` gives, and tell of it.

    ======== ==========================================================================================
    mode     is told as
    ======== ==========================================================================================
    tasks    an activity for each node that begins; when one of the outer graph ends, ``task`` advances
    updates  the same, when a node ends, where ``tasks`` is not asked for
    messages what models say, as pieces of ``out``; of ``nodes`` alone where they are named
    custom   an activity: what a node wrote to the stream
    ======== ==========================================================================================

    Other modes pass. With ``subgraphs=True`` or ``version="v2"`` it does the same. Raises `TypeError` for a stream of
    one mode alone, which does not say which.
    """
    graph = _Graph(agent, task, Speech(out), nodes)
    async with contextlib.AsyncExitStack() as stack:
        if (close := getattr(stream, "aclose", None)) is not None:
            stack.push_async_callback(close)
        async for item in stream:
            await graph.take(*_parts(item))
            yield item


def _parts(item: Any) -> tuple[tuple[str, ...], str, Any]:
    """The namespace, the mode and the chunk."""
    if isinstance(item, Mapping) and {"type", "ns", "data"} <= item.keys():
        return item["ns"], item["type"], item["data"]
    if isinstance(item, tuple) and len(item) == 3:
        return item
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        return (), *item
    raise TypeError('call astream with a list of modes, such as stream_mode=["tasks", "messages"]')


class _Graph:
    def __init__(self, agent: Agent, task: Task | None, speech: Speech, nodes: Collection[str] | None) -> None:
        self._agent = agent
        self._task = task
        self._speech = speech
        self._nodes = nodes
        self._has_tasks = False

    async def take(self, namespace: tuple[str, ...], mode: str, chunk: Any) -> None:
        """Tell of one chunk."""
        if mode == "tasks":
            self._has_tasks = True
            await self._node(namespace, chunk)
        elif mode == "updates" and not self._has_tasks:
            for node in chunk:
                await self._begins(namespace, node)
                await self._ended(namespace, node)
        elif mode == "messages":
            message, metadata = chunk
            is_wanted = self._nodes is None or metadata.get("langgraph_node") in self._nodes
            if is_wanted and message.type in {"AIMessageChunk", "ai"}:
                await self._speech.say(str(message.text), message.id)
        elif mode == "custom":
            await tell(self._agent, {"state": "custom", **chunk} if isinstance(chunk, Mapping) else chunk)

    async def _node(self, namespace: tuple[str, ...], chunk: Mapping[str, Any]) -> None:
        if "input" in chunk:
            await self._begins(namespace, chunk["name"])
        elif chunk.get("error"):
            await self._begins(namespace, chunk["name"], error=str(chunk["error"])[:500])
        elif chunk.get("interrupts"):
            await self._begins(namespace, chunk["name"], interrupted=True)
        else:
            await self._ended(namespace, chunk["name"])

    async def _begins(self, namespace: tuple[str, ...], node: str, **detail: Any) -> None:
        if namespace:
            detail["within"] = "/".join(part.partition(":")[0] for part in namespace)
        await tell(self._agent, {"state": node, **detail})

    async def _ended(self, namespace: tuple[str, ...], node: str) -> None:
        if self._task is not None and not namespace:
            await self._task.advance(1, note=node)
