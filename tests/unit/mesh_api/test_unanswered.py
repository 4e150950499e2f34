from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.asks import Ask
from daena_mesh.stored import Stored
from mesh_api.queued import Queued, queued_of
from mesh_api.unanswered import Patience

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIMEOUT_S = 60


def queued(seq: int, age_s: float, message_id: str | None = None) -> Queued:
    ask = Ask(session_id="s", message_id=message_id or f"m{seq}", content="?")
    return Queued(seq, NOW - timedelta(seconds=age_s), ask)


def ended(*looks: tuple[list[Queued], set[str]]) -> list[int]:
    """Give what is ended at the last of some looks."""
    patience, found = Patience(TIMEOUT_S), list[Queued]()
    for queue, answering in looks:
        found = patience.look(queue, answering, NOW)
    return [queued.seq for queued in found]


def test_what_is_old_and_unanswered_at_two_looks_is_ended() -> None:
    queue = [queued(1, 61), queued(2, 60), queued(3, 59.9)]
    assert ended((queue, set())) == []
    assert ended((queue, set()), (queue, set())) == [1, 2]


def test_what_somebody_answers_is_left_alone() -> None:
    queue = [queued(1, 100), queued(2, 100)]
    assert ended((queue, {"m1"}), (queue, set())) == [2]
    assert ended((queue, set()), (queue, {"m1"})) == [2]
    assert ended((queue, {"m1"}), (queue, {"m1"})) == [2]


def test_two_looks_are_one_after_the_other() -> None:
    queue = [queued(1, 100)]
    assert ended((queue, set()), ([], set()), (queue, set())) == []
    patience = Patience(TIMEOUT_S)
    patience.look(queue, set(), NOW)
    patience.blind()
    assert patience.look(queue, set(), NOW) == []


def test_what_is_no_question_is_ended_too() -> None:
    message = Stored("ASKS", b"ask.agent.a.x", 5, 0, b"2025-12-31T00:00:00.5Z", b"NATS/1.0", b"nonsense")
    broken = queued_of(message)
    assert (broken.seq, broken.ask) == (5, None)
    assert ended(([broken], {"m5"}), ([broken], {"m5"})) == [5]


looks = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(1, 5), st.floats(0, 200)), max_size=5, unique_by=lambda entry: entry[0]),
        st.sets(st.sampled_from(["m1", "m2", "m3", "m4", "m5"])),
    ),
    max_size=6,
)


@given(looks)
def test_nothing_is_ended_before_its_time_or_while_it_is_answered(
    steps: list[tuple[list[tuple[int, float]], set[str]]],
) -> None:
    patience = Patience(TIMEOUT_S)
    before: set[int] = set()
    for entries, answering in steps:
        queue = [queued(seq, age_s) for seq, age_s in entries]
        over = {queued.seq for queued in patience.look(queue, answering, NOW)}
        left = {seq for seq, age_s in entries if age_s >= TIMEOUT_S and f"m{seq}" not in answering}
        assert over == left & before
        before = left
