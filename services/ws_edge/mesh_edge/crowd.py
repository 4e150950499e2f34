"""How many sockets one address, or one user, has on this edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_edge.link import Link


class Crowd:
    """Counts the links of each key up to a limit. Without a limit it keeps nothing."""

    __slots__ = ("_counts", "_keys", "_most")

    def __init__(self, most: int) -> None:
        """``most`` links for each key; 0: as many as like."""
        self._most = most
        self._counts: dict[str, int] = {}
        self._keys: dict[Link, str] = {}

    def is_full(self, key: str | None) -> bool:
        """Whether ``key`` has all that it may have. What is not known (None or empty) is not counted."""
        return bool(self._most and key) and self._counts.get(key or "", 0) >= self._most

    def enter(self, link: Link, key: str | None) -> None:
        """Count a link."""
        if self._most and key:
            self._keys[link] = key
            self._counts[key] = self._counts.get(key, 0) + 1

    def leave(self, link: Link) -> None:
        """It is gone."""
        if self._keys and (key := self._keys.pop(link, None)) is not None:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]
