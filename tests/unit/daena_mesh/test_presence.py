"""Rosters: whoever comes or goes on whatever edge, each stay is told once at its begin and once at its end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daena_mesh.ids import uuid7
from daena_mesh.presence import Noted, Roster, Step, Watch, read_noted, settle, since_of, union, untold

EDGES = ("e1", "e2", "e3")
USERS = ("ada", "bob", "cid")
MOVES = st.lists(
    st.tuples(
        st.sampled_from(EDGES),
        st.sampled_from(("here", "here", "here", "dead", "lost")),
        st.sets(st.sampled_from(USERS)),
    ),
    max_size=30,
)


def lives() -> Iterator[str]:
    return (f"life-{number:04}" for number in itertools.count())


@given(MOVES)
def test_over_all_edges_each_stay_is_told_at_its_begin_and_at_its_end(
    moves: list[tuple[str, str, set[str]]],
) -> None:
    """Model: a user is present who is on some edge; every step tells one change, and how many there are after it."""
    fresh = lives()
    log: dict[str, Roster] = {}
    told: dict[str, Roster] = {edge: {} for edge in EDGES}
    here: dict[str, set[str]] = {edge: set() for edge in EDGES}
    known: Roster = {}
    ids: list[str] = []
    for edge, what, users in moves:
        if what == "lost":  # the bucket is gone: every edge writes again what it had, and there is nothing to tell
            log.clear()
            changes = [(name, here[name], told[name]) for name in EDGES]
        else:
            here[edge] = users if what == "here" else set()
            changes = [(edge, here[edge], told[edge] if what == "here" else {})]
        for name, who, before in changes:
            others = [roster for other, roster in log.items() if other != name]
            change = settle(others, log.get(name, {}), who, before, lambda count: itertools.islice(fresh, count))
            log[name] = told[name] = change.roster
            assert set(change.roster) == who
            assert what != "lost" or not change.steps
            for step in change.steps:
                if step.event_type == "presence.join":
                    assert step.who not in known
                    known[step.who] = step.life
                else:
                    assert known.pop(step.who) == step.life
                if what != "lost":
                    assert step.present == len(known)
                ids.append(step.event_id("chat_s1"))
        assert set(known) == set().union(*here.values())
        assert union(log.values()) == known
    assert len(ids) == len(set(ids))


def test_who_comes_where_they_are_already_takes_the_life_over() -> None:
    change = settle([{"ada": "a"}], {}, ["ada"], {}, lambda count: ["new"] * count)
    assert change == ({"ada": "a"}, ())
    assert settle([{}], {"ada": "a"}, [], {}, lambda count: ["new"] * count) == (
        {},
        (Step("presence.leave", "ada", "a", 0),),
    )
    assert settle([{"ada": "a"}], {"ada": "a"}, [], {}, lambda count: ["new"] * count) == ({}, ())


def test_two_that_come_and_one_that_goes_are_counted_one_by_one() -> None:
    fresh = lives()
    _, steps = settle([{"dan": "d"}], {"cid": "c"}, ["ada", "bob"], {}, lambda count: itertools.islice(fresh, count))
    assert [(step.event_type, step.who, step.present) for step in steps] == [
        ("presence.leave", "cid", 1),
        ("presence.join", "ada", 2),
        ("presence.join", "bob", 3),
    ]


def test_an_edge_that_was_taken_for_dead_tells_of_its_users_anew() -> None:
    _, steps = settle([], {}, ["ada"], {}, lambda count: ["new"] * count)
    assert steps == (Step("presence.join", "ada", "new", 1),)


def test_the_id_of_what_is_told_is_that_of_the_stay() -> None:
    step = Step("presence.join", "ada", "a", 1)
    assert step.event_id("t") == replace(step, present=5).event_id("t")
    others = [replace(step, event_type="presence.leave"), replace(step, who="bob"), replace(step, life="b")]
    assert len({step.event_id("t"), step.event_id("u"), *(other.event_id("t") for other in others)}) == 5


BODIES = (b"", b"[]", b"{}", b'{"here":5}', b'{"here":{"ada":5}}', b"\xff", b'{"here":{}', b"[" * 10_000)


@pytest.mark.parametrize("body", BODIES)
def test_what_cannot_be_read_is_nothing(body: bytes) -> None:
    assert read_noted(body) == Noted({})


def test_what_an_edge_notes_is_read_as_it_was_written() -> None:
    noted = Noted({"ada": "a"}, (Step("presence.join", "ada", "a", 1), Step("presence.leave", "bob", "b", 0)))
    assert read_noted(msgspec.json.encode(noted)) == noted


def test_of_what_others_may_not_have_told_that_counts_which_is_about_the_same_users() -> None:
    theirs = [Step("presence.leave", "ada", "a", 1), Step("presence.leave", "bob", "b", 0)]
    assert untold(theirs, [Step("presence.join", "bob", "c", 1)]) == (theirs[1],)


def test_of_two_lives_the_older_counts() -> None:
    assert union([{"ada": "b"}, {"ada": "a", "bob": "c"}]) == {"ada": "a", "bob": "c"}


def test_a_life_says_since_when() -> None:
    assert since_of("0190f3a2-7c1e-7000-8000-000000000000") == "2024-07-27T10:00:30.494Z"
    assert str(since_of(uuid7())).startswith("20")
    for text in ("", "x", "zz", "f" * 32):
        assert since_of(text) is None


def test_dead_is_whose_lease_stood_still_while_one_looked_on() -> None:
    watch = Watch(10)
    assert watch.dead({"a": 1, "b": 1}, 100) == []
    assert watch.dead({"a": 1, "b": 2}, 109) == []
    assert watch.dead({"a": 1, "b": 2}, 110) == ["a"]
    assert watch.dead({"b": 2}, 118) == []
    assert watch.dead({"a": 1, "b": 2}, 119) == ["b"]
    watch.blind()
    assert watch.dead({"a": 1, "b": 2}, 200) == []
    assert watch.dead({"a": 1, "b": 2}, 210) == ["a", "b"]
