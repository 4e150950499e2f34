from __future__ import annotations

from daena_mesh.asks import Target
from mesh_api.serving import MOST_TARGETS, Beat, Beats, targets_of


def test_processes_of_one_name_are_told_apart() -> None:
    beats = Beats()
    beats.note("scout", Beat("i1", "busy", ["agent/scout"], ["m1"]), 0)
    beats.note("scout", Beat("i2", "busy", ["department/hr"], ["m2"]), 1)
    assert beats.answering == {"m1", "m2"}
    assert beats.targets == {Target("agent", "scout"), Target("department", "hr")}
    beats.note("scout", Beat("i1", "busy", ["agent/scout"], []), 2)
    assert beats.answering == {"m2"}


def test_who_ends_or_falls_silent_answers_nothing() -> None:
    beats = Beats()
    beats.note("one", Beat("i", "busy", [], ["m1"]), 0)
    beats.note("two", Beat("i", "busy", [], ["m2"]), 0)
    beats.note("one", Beat("i", "offline", [], ["m1"]), 1)
    assert beats.answering == {"m2"}
    beats.forget(14.9)
    assert beats.answering == {"m2"}
    beats.forget(15)
    assert beats.answering == set()


def test_what_was_heard_is_known() -> None:
    beats, beat = Beats(), Beat("i", "online", [], [])
    assert not beats.knows("one", beat)
    beats.note("one", beat, 0)
    assert beats.knows("one", beat)
    assert not beats.knows("one", Beat("i", "busy", [], []))
    assert not beats.knows("two", beat)


def test_what_is_no_target_is_left_out() -> None:
    assert targets_of(Beat(serves=["agent/*", "x", "daena", "", "agent/" + "a" * 65])) == [Target("daena")]
    assert len(targets_of(Beat(serves=[f"agent/a{i}" for i in range(1_000)]))) == MOST_TARGETS
