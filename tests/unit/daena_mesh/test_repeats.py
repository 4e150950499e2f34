from __future__ import annotations

import pytest

from daena_mesh.repeats import Unanswered


class Clock:
    """Stands where it is put."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("daena_mesh.repeats.time", clock)
    return clock


def test_what_has_waited_is_asked_again_and_what_was_asked_a_moment_ago_is_not(clock: Clock) -> None:
    unanswered, asked = Unanswered(), []
    unanswered.add("old", lambda: asked.append("old"))
    unanswered.add("answered", lambda: asked.append("answered"))
    clock.now += 1
    unanswered.add("new", lambda: asked.append("new"))
    unanswered.remove("answered")
    unanswered.ask_again()
    assert asked == ["old"]
    unanswered.ask_again()  # by the next answer, which comes at the same time
    assert asked == ["old"]
    clock.now += 1
    unanswered.ask_again()
    assert asked == ["old", "old", "new"]
