"""Holding back what is written to a connection, so that an answer and what follows it at once leave in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh_edge.link import Link


class Cork(asyncio.Transport):
    """Stands for a transport for a moment, and keeps what is written to it."""

    __slots__ = ("_held",)

    def __init__(self, beginning: bytes) -> None:
        """What is written comes after ``beginning``."""
        self._held = [beginning]

    def write(self, data: Any) -> None:
        """Keep ``data``."""
        self._held.append(data)

    def get_write_buffer_size(self) -> int:
        """What is kept, in bytes."""
        return sum(map(len, self._held))

    def is_closing(self) -> bool:
        """Not yet."""
        return False

    def held(self) -> bytes:
        """All that was written."""
        return b"".join(self._held)


def greeted(link: Link, beginning: bytes, greet: Callable[[], object]) -> None:
    """Write ``beginning``, the answer to a handshake, along with what ``greet`` writes to ``link``.

    A write is most of what a connection costs.
    """
    if not beginning:
        greet()
        return
    transport = link.transport
    link.transport = cork = Cork(beginning)
    try:
        greet()
    finally:
        link.transport = transport
        transport.write(cork.held())
