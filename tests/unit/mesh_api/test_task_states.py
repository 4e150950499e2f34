"""What is known of tasks: the last update of each, bounded, and at which of them nobody is any more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.events import Event
from mesh_api.agent_states import AgentStates
from mesh_api.task_states import TaskState, TaskStates, task_of
from tests.unit.mesh_api.test_agent_states import at, beat


def event(subject: str, timestamp: str = "2026-11-23T02:00:00Z", **payload: Any) -> Event:
    return Event(event_type="task.update", payload=payload, id="e", timestamp=timestamp, subject=subject, cursor="Sx-1")


def task(task_id: str, seq: int, status: str = "running", agent: str = "scout", **more: Any) -> TaskState:
    return task_of(event(f"task.{task_id}.update.{agent}", status=status, **more), seq)


@given(st.permutations(range(1, 8)))
def test_the_newest_update_counts_in_whatever_order_they_come(order: list[int]) -> None:
    tasks = TaskStates()
    for seq in order:
        tasks.update(task("t", seq, "completed" if seq == 7 else "running"))
    known = tasks.get("t")
    assert known is not None
    assert (known.seq, known.status, len(tasks), list(tasks.open)) == (7, "completed", 1, [])


def test_the_author_of_the_subject_is_the_agent_whatever_the_payload_says() -> None:
    assert task_of(event("task.t.update.scout", agent_id="other"), 1).agent_id == "scout"
    assert task_of(event("task.t.update", agent_id="other"), 1).agent_id == "other"
    for wrong in (None, 7, "*", "a.b", "", "x" * 65):
        assert task_of(event("task.t.update", agent_id=wrong), 1).agent_id is None


def test_whatever_a_payload_holds_is_kept_small() -> None:
    found = task_of(event("task.t.update", status=7, title=[], reason={}, progress="x" * 60_000), 1)
    assert (found.status, found.title, found.reason) == ("unknown", None, None)
    assert len(found.progress) < 1_024
    found = task_of(event("task.t.update", status="s" * 999, title="t" * 999, reason="r" * 999), 1)
    assert (len(found.status), len(found.title or ""), len(found.reason or "")) == (64, 200, 500)


def test_tasks_stand_newest_first_and_can_be_filtered() -> None:
    tasks = TaskStates()
    tasks.update(task("a", 1))
    tasks.update(task("b", 2, "completed"))
    tasks.update(task("c", 3, agent="other"))
    tasks.update(task("a", 4))
    assert [found.task_id for found in tasks.newest(limit=9)] == ["a", "c", "b"]
    assert [found.task_id for found in tasks.newest(limit=9, status="running")] == ["a", "c"]
    assert [found.task_id for found in tasks.newest(limit=9, agent_id="scout")] == ["a", "b"]
    assert [found.task_id for found in tasks.newest(limit=1)] == ["a"]
    assert {name: [found.task_id for found in own] for name, own in tasks.open_by_agent().items()} == {
        "scout": ["a"],
        "other": ["c"],
    }


def test_there_are_never_more_than_the_bounds_and_the_oldest_are_forgotten() -> None:
    tasks = TaskStates(most_open=5, most_finished=5)
    for seq in range(1, 101):
        tasks.update(task(f"o{seq}", 2 * seq))
        tasks.update(task(f"f{seq}", 2 * seq + 1, "failed"))
        assert len(tasks) <= 10
    for status, letter in (("running", "o"), ("failed", "f")):
        newest = [f"{letter}{i}" for i in range(100, 95, -1)]
        assert [found.task_id for found in tasks.newest(limit=99, status=status)] == newest


def test_a_task_whose_agent_left_without_a_word_on_it_is_an_orphan() -> None:
    tasks, agents = TaskStates(), AgentStates()
    tasks.update(task("before", 1))
    tasks.update(task("done", 2, "completed"))
    tasks.update(task("after", 4))
    tasks.update(task("of-nobody-known", 1, agent="unknown"))
    agents.tell("scout", {"status": "online"}, 1, at(1))
    assert tasks.orphans(agents) == {}
    agents.tell("scout", {"status": "offline"}, 3, at(3))
    assert tasks.orphans(agents) == {"before": 1}
    agents.hear(beat("scout", 1, 4))  # it is there again, and does not tell what it works on
    assert tasks.orphans(agents) == {}


@pytest.mark.parametrize(
    ("started_at", "tasks_of_beat", "is_orphan"),
    [
        ("2026-11-23T02:00:01Z", frozenset(), True),
        ("2026-11-23T03:00:01+01:00", frozenset(), True),
        ("2026-11-23T02:00:01Z", frozenset({"t"}), False),
        ("2026-11-23T02:00:01Z", None, False),
        ("2026-11-23T01:59:59Z", frozenset(), False),
        ("yesterday", frozenset(), False),
        (None, frozenset(), False),
    ],
)
def test_a_task_that_an_agent_which_began_anew_does_not_know_is_an_orphan(
    started_at: str | None, tasks_of_beat: frozenset[str] | None, is_orphan: bool
) -> None:
    tasks, agents = TaskStates(), AgentStates()
    tasks.update(task("t", 1))
    agents.tell("scout", {"status": "online"}, 2, at(2))
    agents.hear(beat("scout", 1, 3, started_at=started_at, tasks=tasks_of_beat))
    assert bool(tasks.orphans(agents)) is is_orphan
