from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest

from daena_mesh.events import Event
from daena_mesh.testing.matching import Expectation


def event(subject: str = "task.t.update", **payload: Any) -> Event:
    domain, _, verb = subject.split(".")[:3]
    return Event(
        event_type=f"{domain}.{verb}", payload=payload, id="1", timestamp="now", subject=subject, cursor="Sx-1"
    )


@pytest.mark.parametrize(
    ("fields", "is_met"),
    [
        ({}, True),
        ({"status": "running"}, True),
        ({"status": "completed"}, False),
        ({"status": "running", "title": "x"}, False),
        ({"title": None}, False),
        ({"progress": {"done": 1}}, True),
        ({"progress": {"done": 1, "total": None}}, True),
        ({"progress": {"done": 2}}, False),
        ({"progress": {"rate": 1}}, False),
        ({"progress": {}}, True),
        ({"progress": 1}, False),
        ({"progress": {"done": pytest.approx(1.0000001)}}, True),
        ({"progress": ANY}, True),
        ({"tags": ["a"]}, True),
        ({"tags": ["a", "b"]}, False),
    ],
)
def test_named_fields_alone_count(fields: dict[str, Any], is_met: bool) -> None:
    came = event(status="running", progress={"done": 1, "total": None}, tags=["a"])
    assert Expectation("task.update", fields).is_met_by(came) is is_met


def test_another_type_is_never_it() -> None:
    assert not Expectation("task.deleted", {}).is_met_by(event(status="running"))


def test_the_id_of_the_subject_counts_where_the_payload_leaves_it_out() -> None:
    assert Expectation("agent.activity", {"agent_id": "scout"}).is_met_by(event("agent.scout.activity", activity=1))
    assert not Expectation("agent.activity", {"agent_id": "other"}).is_met_by(event("agent.scout.activity"))
    assert Expectation("project.note", {"text": "x"}).is_met_by(event("project.p.note.ada", text="x"))


def test_a_failure_shows_what_is_nearest_first() -> None:
    told = Expectation("task.update", {"task_id": "t", "status": "completed"}).failure(
        [
            event("task.u.update", status="running"),
            event(status="running"),
            event("agent.a.status"),
            event("chat.s.typing"),
        ],
        1,
    )
    assert told.splitlines() == [
        "task.update with task_id='t', status='completed' did not come within 1 s",
        "  task.t.update came, but status='running'",
        "  task.u.update came, but task_id='u', status='running'",
        "also came: 1 x agent.status, 1 x chat.typing",
    ]


def test_a_failure_is_readable_whatever_came() -> None:
    crowd = [event(status="x" * 10_000) for _ in range(500)]
    told = Expectation("task.update", {"status": "running"}).failure(crowd, 0.5)
    assert len(told) < 4_000
    assert told.splitlines()[-1] == "  and 490 more of this type"
    assert Expectation("task.update", {}).failure([], 2).splitlines() == [
        "task.update did not come within 2 s",
        "nothing came at all",
    ]
    assert "  task.t.update came, but status is absent" in Expectation("task.update", {"status": 1}).failure(
        [event()], 1
    )
