"""The state of everything, from events."""

from __future__ import annotations

from typing import Any

from daena_mesh.events import Event
from daena_mesh.subjects import Subject
from mesh_api.state import MOST_BRAINS, State


def event(subject: str, **payload: Any) -> Event:
    event_type = Subject.parse(subject).event_type
    return Event(event_type=event_type, payload=payload, id="e", timestamp="t", subject=subject, cursor="Sx-1")


def test_each_event_goes_where_it_belongs_with_an_author_or_without() -> None:
    state = State()
    for seq, suffix in enumerate(["", ".scout"]):
        state.apply(event(f"agent.scout.status{suffix}", status=f"s{seq}"), 4 * seq + 1, b"t")
        state.apply(event(f"agent.scout.activity{suffix}", activity=seq), 4 * seq + 2, b"t")
        state.apply(event(f"task.t.update{suffix}", status=f"s{seq}"), 4 * seq + 3, b"t")
        state.apply(event(f"brain.main.status{suffix}", status=seq), 4 * seq + 4, b"t")
        agent, task = state.agents.get("scout"), state.tasks.get("t")
        assert agent is not None
        assert task is not None
        assert (agent.status, agent.activity, task.status) == (f"s{seq}", str(seq).encode(), f"s{seq}")
        assert state.brains["main"][1].payload == {"status": seq}
    state.apply(event("agent.other.thought", x=1), 99, b"t")
    assert len(state.agents) == 1


def test_brains_are_bounded_and_the_one_that_spoke_last_stands_last() -> None:
    state = State()
    for seq in range(1, 2 * MOST_BRAINS):
        state.apply(event(f"brain.b{seq}.status", status="ok"), seq, b"t")
    state.apply(event("brain.b150.status", status="again"), 1_000, b"t")
    state.apply(event("brain.b150.status", status="late"), 999, b"t")
    assert len(state.brains) == MOST_BRAINS
    assert list(state.brains)[-1] == "b150"
    assert state.brains["b150"][1].payload == {"status": "again"}
