"""A client by somebody who has read docs/protocol.md and nothing else: its algorithm, word by word."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any, Literal

MOST_RECENT = 1_000
_CURSOR = re.compile(r"([A-Z][a-z0-9]+)-(\d+)").fullmatch

Verdict = Literal["new", "late", "known", "broken"]


def at_or_before(a: str | None, b: str | None) -> bool:
    """Compare cursors; false where they are of different epochs, or one is missing."""
    one, other = _CURSOR(a or ""), _CURSOR(b or "")
    return one is not None and other is not None and one[1] == other[1] and int(one[2]) <= int(other[2])


class Stranger:
    """What such a client remembers."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.base: dict[str, str] = {}
        self.floor: dict[str, str] = {}
        self.recent: dict[str, OrderedDict[str, None]] = {}
        self.told: list[dict[str, Any]] = []
        """What the application was handed."""
        self.gaps: list[dict[str, Any]] = []
        self._breaks = 0

    @property
    def since(self) -> str:
        """What to connect with."""
        return ".".join({**self.base, **self.seen}.values())

    def take(self, frame: dict[str, Any]) -> Verdict:
        """Take one frame; after `broken` the client closes and connects again."""
        payload = frame.get("payload", {})
        match frame["event_type"]:
            case "connection":
                self.base = payload.get("cursors", self.base)
                self.floor = {**self.base, **self.floor}
            case "gap":
                letter = payload["to"][0]
                self.seen.pop(letter, None)
                self.recent.pop(letter, None)
                self.base[letter] = self.floor[letter] = payload["to"]
                self.gaps.append(payload)
            case "pong" | "error" | "reconnect":
                pass
            case _ if "cursor" not in frame:
                self.told.append(frame)
            case _:
                return self._judge(frame)
        return "new"

    def _judge(self, frame: dict[str, Any]) -> Verdict:
        cursor, prev = frame["cursor"], frame.get("prev")
        letter = cursor[0]
        recent = self.recent.setdefault(letter, OrderedDict())
        if at_or_before(cursor, self.seen.get(letter)):
            if cursor in recent or at_or_before(cursor, self.floor.get(letter)):
                return "known"
            self._hand_on(frame, recent)
            return "late"
        if prev and not (at_or_before(prev, self.seen.get(letter)) or at_or_before(prev, self.base.get(letter))):
            self._breaks += 1
            if self._breaks < 3:
                return "broken"
            self.gaps.append({"from": self.since, "to": cursor, "reason": "chain"})
        self._breaks = 0 if prev else self._breaks
        self.seen[letter] = cursor
        self._hand_on(frame, recent)
        return "new"

    def _hand_on(self, frame: dict[str, Any], recent: OrderedDict[str, None]) -> None:
        recent[frame["cursor"]] = None
        if len(recent) > MOST_RECENT:
            self.floor[frame["cursor"][0]] = recent.popitem(last=False)[0]
        self.told.append(frame)
