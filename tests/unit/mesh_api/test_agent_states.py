"""What is known of agents: the newest word counts, the later of status and heartbeat tells how one is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_api.agent_states import AgentState, AgentStates, Beat, read_beat

STATUSES = ["online", "busy", "offline"]


def at(second: int) -> bytes:
    return f"2026-11-23T02:{second // 60:02}:{second % 60:02}.1".encode()


def beat(agent_id: str, seq: int, second: int, status: str = "online", **more: Any) -> Beat:
    fields = {"instance": "i1", "serves": (), "started_at": None, "tasks": None}
    return Beat(**{"agent_id": agent_id, "status": status, "seq": seq, "at": at(second), **fields, **more})


def one(agents: AgentStates, agent_id: str = "a") -> AgentState:
    agent = agents.get(agent_id)
    assert agent is not None
    return agent


@given(st.permutations(range(1, 8)))
def test_of_each_kind_the_newest_counts_in_whatever_order_they_come(order: list[int]) -> None:
    agents = AgentStates()
    for seq in order:
        agents.tell("a", {"status": STATUSES[seq % 3]}, seq, at(seq))
        agents.act("a", {"activity": seq}, seq + 10, at(seq))
    assert one(agents).status == STATUSES[7 % 3]
    assert (one(agents).activity, one(agents).seq) == (b"7", 17)


def test_the_later_of_status_and_heartbeat_tells_how_it_is() -> None:
    agents = AgentStates()
    assert agents.get("a") is None
    agents.act("a", {"activity": "x"}, 1, at(1))
    assert one(agents).status is None
    agents.tell("a", {"status": "online", "instance": "i1"}, 2, at(2))
    agents.hear(beat("a", 5, 3, "busy"))
    assert one(agents).status == "busy"
    agents.tell("a", {"status": "offline", "instance": "i1"}, 3, at(4))
    assert one(agents).status == "offline"
    agents.hear(beat("a", 6, 5))
    assert one(agents).status == "online"


def test_who_has_neither_instance_nor_heartbeat_owes_none() -> None:
    agents = AgentStates()
    agents.tell("by-hand", {"status": "online"}, 1, at(1))
    agents.tell("sdk", {"status": "online", "instance": "i1"}, 2, at(2))
    agents.tell("beating", {"status": "busy"}, 3, at(3))
    agents.hear(beat("beating", 7, 4))
    agents.hear(beat("only-beats", 8, 5))
    agents.tell("left", {"status": "offline", "instance": "i1"}, 4, at(6))
    agents.hear(beat("says-goodbye", 9, 7, "offline"))
    assert agents.owing() == {"sdk": 0, "beating": 7, "only-beats": 8}


def test_one_that_was_told_offline_and_beats_again_owes_heartbeats_again() -> None:
    agents = AgentStates()
    agents.hear(beat("a", 1, 1))
    agents.tell("a", {"status": "offline", "reason": "silent"}, 1, at(20))
    assert agents.owing() == {}
    agents.hear(beat("a", 2, 30))
    assert agents.owing() == {"a": 2}


def test_whom_others_found_silent_was_not_seen_then() -> None:
    agents = AgentStates()
    agents.hear(beat("a", 1, 1))
    agents.tell("a", {"status": "offline", "reason": "silent"}, 1, at(20))
    assert one(agents).last_seen == at(1)
    agents.tell("a", {"status": "offline"}, 2, at(30))
    assert one(agents).last_seen == at(30)


def test_those_that_are_there_stand_first_the_others_as_they_were_seen() -> None:
    agents = AgentStates()
    for second, (agent_id, status) in enumerate(
        [("gone", "offline"), ("b", "online"), ("a", "busy"), ("late", "offline")], start=1
    ):
        agents.tell(agent_id, {"status": status}, second, at(second))
    assert [agent.agent_id for agent in agents.newest(limit=9)] == ["a", "b", "late", "gone"]
    assert [agent.agent_id for agent in agents.newest(limit=9, status="offline")] == ["late", "gone"]
    assert [agent.agent_id for agent in agents.newest(limit=1)] == ["a"]
    assert agents.there == 2


def test_there_are_never_more_than_a_bound_and_those_that_are_gone_are_forgotten_first() -> None:
    agents = AgentStates(most=16)
    for seq in range(1, 1_001):
        agents.tell(f"a{seq}", {"status": "online" if seq <= 4 else "offline"}, seq, at(seq))
        assert len(agents) <= 16
    assert {agent.agent_id for agent in agents.newest(limit=4)} == {"a1", "a2", "a3", "a4"}
    assert agents.get("a1000") is not None


@pytest.mark.parametrize("status", [None, 7, "", [], {"x": 1}])
def test_a_status_that_is_no_word_is_unknown(status: Any) -> None:
    agents = AgentStates()
    agents.tell("a", {"status": status, "instance": 7, "serves": "x", "reason": {}}, 1, at(1))
    told = one(agents).told
    assert told is not None
    assert told[:4] == ("unknown", None, (), None)


def test_a_long_activity_is_kept_by_its_beginning() -> None:
    agents = AgentStates()
    agents.act("a", {"activity": {"state": "x" * 60_000}}, 1, at(1))
    assert len(one(agents).activity) < 1_024


def test_a_heartbeat_is_read_with_whatever_is_in_it() -> None:
    body = b'{"instance":"i1","status":"busy","serves":["agent/a",7],"started_at":"t","tasks":["t1"],"pid":1}'
    found = read_beat("a", body, 3, at(1))
    assert found == beat("a", 3, 1, "busy", serves=("agent/a",), started_at="t", tasks=frozenset({"t1"}))
    assert read_beat("a", b"{}", 3, at(1)) == beat("a", 3, 1, instance=None)._replace(status=None)
    for broken in (b"", b"[]", b"\xff", b"{", b"[" * 100_000):
        assert read_beat("a", broken, 3, at(1)) is None
