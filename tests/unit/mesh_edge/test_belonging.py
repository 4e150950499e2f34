"""To whom a session belongs, by what is followed and by what the leader answers, whichever comes first."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.events import Session
from daena_mesh.sessions import SessionState
from mesh_edge.belonging import Belonging

USERS = ("ada", "bob", "eve")


def state(seq: int, *members: str) -> SessionState:
    at = {"created_at": "", "updated_at": ""}
    session = {"session_id": "s", "title": "t", "created_by": "owner", "members": members, "metadata": {}, **at}
    return SessionState(msgspec.convert(session, Session), seq, f"event {seq}")


def asked(belonging: Belonging, answer: SessionState | None) -> None:
    belonging.answer(belonging.ask(), answer)


def known(*members: str, seq: int = 5) -> Belonging:
    belonging = Belonging()
    asked(belonging, state(seq, *members))
    return belonging


def those_of(belonging: Belonging) -> set[str]:
    return {user for user in USERS if belonging.includes(user)}


def test_it_is_known_once_the_leader_has_answered() -> None:
    belonging = Belonging()
    assert belonging.follow(state(7, "ada"))
    before = belonging.is_known
    asked(belonging, state(5, "bob"))  # what was followed is newer
    assert (before, belonging.is_known) == (False, True)
    assert those_of(belonging) == {"ada"}
    never = Belonging()
    asked(never, None)
    assert never.is_known
    assert not those_of(never)
    assert not never.includes(None)


def test_an_answer_that_is_ahead_lets_in_and_removes_nobody() -> None:
    belonging = known("ada")
    asked(belonging, state(9, "bob"))
    assert those_of(belonging) == {"ada", "bob"}
    assert belonging.follow(state(7, "eve"))  # on its way when the leader answered
    assert those_of(belonging) == {"eve", "bob"}
    assert belonging.follow(state(9, "bob"))
    assert those_of(belonging) == {"bob"}
    assert not belonging.follow(state(9, "eve"))
    assert belonging.follow(state(11))
    assert those_of(belonging) == set()


def test_an_answer_that_is_behind_says_nothing_new() -> None:
    belonging = known("ada")
    for answer in (state(5, "eve"), state(3, "eve"), None):
        asked(belonging, answer)
        assert those_of(belonging) == {"ada"}
    asked(belonging, state(9, "bob"))
    asked(belonging, state(8, "eve"))
    assert those_of(belonging) == {"ada", "bob"}


def test_a_deletion_belongs_to_nobody() -> None:
    belonging = known("ada")
    asked(belonging, SessionState(None, 9, "deleted"))
    assert those_of(belonging) == {"ada"}
    assert belonging.follow(SessionState(None, 9, "deleted"))
    assert not those_of(belonging)


def test_what_was_asked_before_everything_was_forgotten_is_not_believed() -> None:
    belonging = known("ada")
    asked(belonging, state(9, "bob"))
    question = belonging.ask()
    belonging.forget()
    belonging.answer(question, state(8, "eve"))
    before = belonging.is_known
    assert belonging.answered < question
    assert not those_of(belonging)
    asked(belonging, state(2, "eve"))  # sequences may have begun anew
    assert (before, belonging.is_known) == (False, True)
    assert those_of(belonging) == {"eve"}


def test_questions_are_counted_and_end_by_an_answer_or_without_one() -> None:
    belonging = Belonging()
    assert [belonging.ask(), belonging.asked, belonging.ended, belonging.answered] == [1, 1, 0, 0]
    belonging.fail(1)
    assert [belonging.ended, belonging.answered] == [1, 0]
    belonging.answer(belonging.ask(), None)
    assert [belonging.ended, belonging.answered] == [2, 2]


circles = st.lists(st.sets(st.sampled_from(USERS)), min_size=1, max_size=12)


@given(circles, st.data())
def test_whoever_is_let_in_belongs_to_it_by_some_event_that_counts_and_in_the_end_by_the_last(
    history: list[set[str]], data: st.DataObject
) -> None:
    """The log is followed, twice at times, while the leader is asked about any part of it that was stored by then."""
    states = [state(seq, *members) for seq, members in enumerate(history, start=1)]
    begin = data.draw(st.integers(0, len(history) - 1))
    belonging = Belonging()
    asked(belonging, states[begin])
    newest = at = begin
    while at < len(history) - 1:
        if data.draw(st.booleans()):
            newest = max(newest, data.draw(st.integers(at, len(history) - 1)))
            asked(belonging, states[newest])
            assert those_of(belonging) >= history[newest]
        else:
            at += 1
            assert belonging.follow(states[at])
            assert not belonging.follow(states[data.draw(st.integers(0, at))])
        expected = history[at] | (history[newest] if newest > at else set())
        assert those_of(belonging) == expected
    assert those_of(belonging) == history[-1]
