from __future__ import annotations

from datetime import UTC, datetime, timedelta

from daena_mesh.asks import Ask
from daena_mesh.pulling import ACK_WAIT_S
from mesh_api.forgotten import Suspects
from mesh_api.queued import Queued

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def queued(seq: int, age_s: float = 60, agent: str = "a") -> Queued:
    ask = Ask(session_id="s", message_id=f"m{seq}", content="?")
    return Queued(seq, NOW - timedelta(seconds=age_s), ask, f"ask.agent.{agent}.api")


def test_suspect_is_what_waits_for_longer_than_somebody_may_be_silent() -> None:
    nothing = Queued(4, NOW - timedelta(seconds=60), None, "ask.agent.a.api")
    queue = [queued(1, ACK_WAIT_S), queued(2, ACK_WAIT_S - 0.1), queued(3), nothing]
    assert [one.seq for one in Suspects.among(queue, {"m3"}, NOW)] == [1]


def test_forgotten_is_what_lies_behind_the_floor_of_its_consumer_at_two_looks() -> None:
    suspects, queue = Suspects(), [queued(5), queued(7), queued(8), queued(5 + 1, agent="b")]
    floors = {"agent-a": 7, "agent-b": 5}
    assert suspects.look(queue, floors) == []
    assert [one.seq for one in suspects.look(queue, floors)] == [5, 7]
    assert [one.seq for one in suspects.look([queued(7), queued(9)], {"agent-a": 9})] == [7]


def test_looks_are_one_after_the_other() -> None:
    suspects, floors = Suspects(), {"agent-a": 9}
    suspects.look([queued(5)], floors)
    suspects.blind()
    assert suspects.look([queued(5)], floors) == []
    suspects.look([], {})
    assert suspects.look([queued(5)], floors) == []


def test_without_a_consumer_nothing_is_forgotten() -> None:
    suspects = Suspects()
    assert suspects.look([queued(5)], {}) == suspects.look([queued(5)], {}) == []
