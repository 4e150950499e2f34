"""The list of sessions against a naive model that keeps everything."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.events import Session
from mesh_api.facts import Changed, Deleted, Fact, LastMessage, Said
from mesh_api.projection import Projection

AT = "2026-11-23T02:00:00.000Z"
IDS = ["a", "b", "c", "d"]


def session(session_id: str, **fields: Any) -> Session:
    return Session(session_id=session_id, created_at=AT, updated_at=AT, **{"title": "T", **fields})


def said(session_id: str, seq: int, content: str = "hi") -> Said:
    return Said(session_id, seq, LastMessage(f"m{seq}", "user", content, AT))


def changed(session_id: str, seq: int, **fields: Any) -> Changed:
    return Changed(session_id, seq, session(session_id, **fields))


def ids(projection: Projection, **filters: Any) -> list[str]:
    return [row.session_id for row in projection.newest(limit=100, **filters)[0]]


class Naive:
    """Keeps all facts, and works everything out of them."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def rows(self) -> list[tuple[str, str, int, int, int | None]]:
        rows = []
        for session_id in IDS:
            own = [fact for fact in self.facts if fact.session_id == session_id]
            states = [fact for fact in own if isinstance(fact, Changed)]
            messages = {fact.seq for fact in own if isinstance(fact, Said)}
            if states and not any(isinstance(fact, Deleted) for fact in own):
                state = max(states, key=lambda fact: fact.seq)
                last = max(messages, default=None)
                rows.append((session_id, state.session.title, max(state.seq, last or 0), len(messages), last))
        return sorted(rows, key=lambda row: -row[2])


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Facts as a log has them, in its order."""
    facts: list[Fact] = []
    for seq in range(1, draw(st.integers(1, 40))):
        session_id = draw(st.sampled_from(IDS))
        kind = draw(st.sampled_from(["said", "said", "changed", "changed", "deleted"]))
        if kind == "said":
            facts.append(said(session_id, seq))
        elif kind == "changed":
            facts.append(changed(session_id, seq, title=f"T{seq}"))
        else:
            facts.append(Deleted(session_id, seq))
    return facts


def shown(projection: Projection) -> list[tuple[str, str, int, int, int | None]]:
    rows = projection.newest(limit=100)[0]
    return [
        (
            row.session_id,
            msgspec.json.decode(row.session, type=Session).title,
            row.touched,
            row.message_count,
            row.said or None,
        )
        for row in rows
    ]


@given(histories(), st.data())
def test_equals_a_naive_model_however_often_the_log_is_repeated(facts: list[Fact], data: st.DataObject) -> None:
    projection, naive = Projection(), Naive()
    for i, fact in enumerate(facts):
        projection.apply(fact)
        naive.facts.append(fact)
        if data.draw(st.booleans()):
            projection.apply(facts[data.draw(st.integers(0, i))])
    assert shown(projection) == naive.rows()
    assert len(projection) == len(naive.rows())


@given(histories(), st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter_but_for_counts(facts: list[Fact], random: Any) -> None:
    projection, naive = Projection(), Naive()
    naive.facts = list(facts)
    random.shuffle(facts)
    for fact in facts:
        projection.apply(fact)
    assert [row[:3] + row[4:] for row in shown(projection)] == [row[:3] + row[4:] for row in naive.rows()]


@given(histories(), st.integers(0, 40))
def test_filling_from_the_last_of_each_subject_equals_having_followed_all_along(facts: list[Fact], cut: int) -> None:
    followed, filled = Projection(), Projection()
    for fact in facts:
        followed.apply(fact)
    before = [fact for fact in facts if fact.seq <= cut]
    last: dict[tuple[str, type[Fact]], Fact] = {(fact.session_id, type(fact)): fact for fact in before}
    for fact in sorted(last.values(), key=lambda fact: fact.seq):
        filled.apply(fact)
    for session_id in IDS:
        count = sum(isinstance(fact, Said) and fact.session_id == session_id for fact in before)
        filled.set_count(session_id, count, cut)
    for fact in facts:  # what was kept meanwhile may begin before the cut
        filled.apply(fact)
    assert shown(filled) == shown(followed)


@given(histories(), st.integers(1, 4))
def test_pages_join_to_the_whole_list(facts: list[Fact], limit: int) -> None:
    projection = Projection()
    for fact in facts:
        projection.apply(fact)
    joined: list[str] = []
    before: int | None = None
    while True:
        rows, before = projection.newest(limit=limit, before=before)
        joined += [row.session_id for row in rows]
        if before is None:
            break
    assert joined == ids(projection)


def test_a_page_stays_in_place_while_sessions_move_to_the_top() -> None:
    projection = Projection()
    for seq, session_id in enumerate("abcdef", 1):
        projection.apply(changed(session_id, seq))
    first, before = projection.newest(limit=2)
    projection.apply(said("a", 7))
    second, _ = projection.newest(limit=2, before=before)
    assert [row.session_id for row in (*first, *second)] == ["f", "e", "d", "c"]


def test_filters() -> None:
    projection = Projection()
    projection.apply(changed("a", 1, scope_type="department", scope_id="HR", category="x"))
    projection.apply(changed("b", 2, scope_type="department", scope_id="IT"))
    projection.apply(changed("c", 3))
    assert ids(projection, scope_type="department") == ["b", "a"]
    assert ids(projection, scope_type="department", scope_id="HR") == ["a"]
    assert ids(projection, category="x") == ["a"]
    assert ids(projection, scope_id="nobody") == []


def test_a_message_without_a_session_waits_for_it() -> None:
    projection = Projection()
    projection.apply(said("a", 1))
    assert projection.orphans() == ["a"]
    assert ids(projection) == []
    assert not projection.has("a")
    assert projection.row("a") is None
    projection.apply(changed("a", 2))
    assert projection.orphans() == []
    row = projection.row("a")
    assert row is not None
    assert (row.message_count, row.seq, row.touched) == (1, 2, 2)


def test_what_was_deleted_does_not_come_back() -> None:
    projection = Projection()
    projection.apply(changed("a", 1))
    projection.apply(Deleted("a", 2))
    for fact in (changed("a", 3), said("a", 4)):
        projection.apply(fact)
    assert projection.is_deleted("a")
    assert not projection.has("a")
    assert (len(projection), ids(projection), projection.orphans()) == (0, [], [])
    assert projection.last_said("a") == 0


def test_the_order_stays_small_however_often_sessions_are_touched() -> None:
    projection = Projection()
    for seq in range(1, 10_000):
        projection.apply(changed(IDS[seq % 4], seq))
    assert len(projection._order) < 1_100
    assert ids(projection) == [IDS[seq % 4] for seq in range(9_999, 9_995, -1)]


@pytest.mark.parametrize("limit", [1, 2])
def test_next_is_given_only_where_there_is_more(limit: int) -> None:
    projection = Projection()
    for seq in range(1, 3):
        projection.apply(changed(IDS[seq], seq))
    assert projection.newest(limit=limit)[1] == (2 if limit == 1 else None)
