"""An edge as a whole: one process, or several that share a port and answer for each other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from mesh_edge.edge import Edge
from mesh_edge.siblings import Siblings

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True)
class View(Generic[Q, A]):
    """Something that each process of an edge can tell of itself."""

    name: str
    question: type[Q]
    answer: type[A]
    of: Callable[[Edge, Q], A]


class _Question(msgspec.Struct):
    view: str
    asked: msgspec.Raw


class Whole:
    """All processes of an edge.

    Args:
        views: what they may ask each other.
        siblings: the others; None for an edge of one process.
    """

    def __init__(self, views: Sequence[View[Any, Any]] = (), siblings: Siblings | None = None) -> None:
        self._views = {view.name: view for view in views}
        self._siblings = siblings

    @property
    def number(self) -> int:
        """Which of them this process is, from 1 on; 0 where it is the only one."""
        return self._siblings.number if self._siblings else 0

    @property
    def count(self) -> int:
        """How many processes there are."""
        return self._siblings.count if self._siblings else 1

    @contextlib.asynccontextmanager
    async def answering(self, edge: Edge) -> AsyncIterator[None]:
        """Answer the others, for a block."""
        if self._siblings is None:
            yield
            return

        def answer(line: bytes) -> bytes:
            question = msgspec.json.decode(line, type=_Question)
            view = self._views[question.view]
            return msgspec.json.encode(view.of(edge, msgspec.json.decode(question.asked, type=view.question)))

        async with self._siblings.answering(answer):
            yield

    async def each(self, view: View[Q, A], edge: Edge, asked: Q) -> list[A | None]:
        """What each process tells, by their numbers; None for one that does not answer."""
        own = view.of(edge, asked)
        if self._siblings is None:
            return [own]
        question = msgspec.json.encode(_Question(view.name, msgspec.Raw(msgspec.json.encode(asked))))
        told = [_read(answer, view.answer) for answer in await self._siblings.ask(question)]
        return [*told[: self.number - 1], own, *told[self.number - 1 :]]


def _read(answer: bytes | None, kind: type[A]) -> A | None:
    try:
        return None if answer is None else msgspec.json.decode(answer, type=kind)
    except msgspec.MsgspecError:
        return None


def whole_of(connection: Any) -> Whole:
    """All processes of the edge that a request or an ``app`` belongs to."""
    app = getattr(connection, "app", connection)
    whole: Whole = getattr(app.state, "mesh_whole", _ALONE)
    return whole


_ALONE = Whole()
