from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mesh_edge import closing, draining
from mesh_edge.wire import FRAMES


class Link:
    """What is said to one client, in a story with the others."""

    wire = FRAMES

    def __init__(self, story: list[tuple[int, Any]], number: int) -> None:
        self.number = number
        self._story = story

    def send(self, frame: bytes) -> None:
        said = json.loads(frame[frame.index(b"{") :])
        assert said["event_type"] == "reconnect"
        self._story.append((self.number, said["payload"]["after_ms"]))

    def close(self, why: closing.Closing) -> None:
        self._story.append((self.number, why))


@pytest.mark.parametrize(("count", "waves"), [(0, 1), (1, 1), (3, 3), (10, 10), (11, 6), (2_000, 10)])
async def test_each_is_told_first_and_comes_back_soon_after_its_wave(
    count: int, waves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    story: list[tuple[int, Any]] = []

    async def pause(seconds: float) -> None:
        assert seconds == pytest.approx(0.2)
        story.append((-1, "pause"))

    monkeypatch.setattr(asyncio, "sleep", pause)
    await draining.send_away([Link(story, number) for number in range(count)], 2.0)  # type: ignore[misc]
    told, rest = dict(story[:count]), story[count:]
    assert len(told) == count
    wave = 0
    for number, what in rest:
        if what == "pause":
            wave += 1
        else:
            assert what is closing.RESTART
            assert 200 * wave <= told.pop(number) <= 200 * (wave + 1)
    assert told == {}
    assert wave + 1 == waves
