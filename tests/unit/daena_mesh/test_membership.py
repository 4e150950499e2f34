"""To whom a session belongs, and what that allows, against a model that asks for each right by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import InvalidEvent
from daena_mesh.events import Session
from daena_mesh.membership import (
    MOST_MEMBERS,
    NOBODY,
    Circle,
    circle_of,
    may_read,
    may_share,
    may_write,
    session_of,
    shared,
)
from daena_mesh.subjects import matches
from daena_mesh.tokens import Rights

pytestmark = pytest.mark.promise("P-MEMBERS-1")

USERS = ("ada", "bob", "eve", "*", ">", "ada.x")
WORDS = ("message", "typing", "stop", "delta", "created", "updated", "deleted")
SUBJECTS = tuple(
    f"{domain}.{session}.{verb}{author}"
    for domain in ("chat", "session", "agent", "task")
    for session in ("s1", "s2")
    for verb in WORDS
    for author in ("", ".ada", ".bob")
)
PATTERNS = (">", "chat.>", "chat.s1.>", "chat.s2.>", "chat.*.message", "session.s1.>", "session.*.updated", "agent.>")

users = st.none() | st.sampled_from(USERS)
circles = st.builds(Circle, st.none() | st.sampled_from(USERS), st.frozensets(st.sampled_from(USERS), max_size=3))
rights = st.builds(
    Rights,
    st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple),
    st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple),
)


def session(owner: str | None = "ada", members: tuple[str, ...] = ()) -> Session:
    return Session(session_id="s1", title="t", created_at="", updated_at="", created_by=owner, members=members)


def belongs(user: str | None, circle: Circle) -> bool:
    return user is not None and user in {circle.owner, *circle.members}


@given(rights=rights, user=users, subject=st.sampled_from(SUBJECTS), circle=circles)
def test_a_subject_may_be_written_by_pattern_or_by_who_belongs_there(
    rights: Rights, user: str | None, subject: str, circle: Circle
) -> None:
    domain, ident, verb, *author = subject.split(".")
    theirs = (
        belongs(user, circle)
        and ident == "s1"
        and (domain, verb) in {("chat", w) for w in WORDS[:3]} | {("session", w) for w in WORDS[5:]}
        and author in ([], [user])
    )
    expected = theirs or any(matches(pattern, subject) for pattern in rights.write)
    assert may_write(rights, user, subject, "s1", circle) == expected


@given(rights=rights, user=users, subject=st.sampled_from(SUBJECTS), circle=circles)
def test_a_subject_may_be_read_by_pattern_or_by_who_belongs_there(
    rights: Rights, user: str | None, subject: str, circle: Circle
) -> None:
    theirs = belongs(user, circle) and subject.split(".")[:2] in (["chat", "s1"], ["session", "s1"])
    expected = theirs or any(matches(pattern, subject) for pattern in rights.read)
    assert may_read(rights, user, [subject], "s1", circle) == expected


@given(
    rights=rights, user=users, circle=circles, wanted=st.lists(st.sampled_from(PATTERNS[2:]), min_size=1, max_size=3)
)
def test_who_may_read_patterns_may_read_all_that_they_match(
    rights: Rights, user: str | None, circle: Circle, wanted: list[str]
) -> None:
    if may_read(rights, user, wanted, "s1", circle):
        for subject in SUBJECTS:
            if any(matches(pattern, subject) for pattern in wanted):
                assert may_read(rights, user, [subject], "s1", circle)


@given(rights=rights, user=users, circle=circles)
def test_members_are_changed_by_the_owner_or_by_who_may_write_it(
    rights: Rights, user: str | None, circle: Circle
) -> None:
    by_pattern = any(matches(pattern, "session.s1.updated") for pattern in rights.write)
    assert may_share(rights, user, "s1", circle) == (by_pattern or (user is not None and user == circle.owner))


@given(
    have=st.lists(st.sampled_from(USERS), unique=True),
    add=st.lists(st.sampled_from(USERS)),
    remove=st.lists(st.sampled_from(USERS)),
)
def test_members_come_and_go_and_a_repetition_changes_nothing(
    have: list[str], add: list[str], remove: list[str]
) -> None:
    members = shared(session(members=tuple(have)), add, remove)
    assert set(members) == ({*have, *add} - {*remove, "ada"})
    assert len(set(members)) == len(members)
    assert shared(session(members=tuple(members)), add, remove) == members


@pytest.mark.parametrize(
    ("pattern", "session_id"),
    [
        ("chat.s1.>", "s1"),
        ("session.s1.updated", "s1"),
        ("chat.*.message", None),
        ("chat.>", None),
        ("agent.s1.>", None),
    ],
)
def test_a_pattern_is_about_one_session_or_none(pattern: str, session_id: str | None) -> None:
    assert session_of(pattern) == session_id


def test_a_session_that_is_not_there_belongs_to_nobody() -> None:
    assert circle_of(None) == NOBODY
    assert not NOBODY.includes(None)
    assert not circle_of(session(owner=None)).includes(None)
    assert circle_of(session(members=("bob",))) == Circle("ada", frozenset({"bob"}))


@pytest.mark.parametrize("add", [[str(i) for i in range(MOST_MEMBERS + 1)], [""], ["x" * 257]])
def test_too_many_members_and_what_is_no_user_are_refused(add: list[str]) -> None:
    with pytest.raises(InvalidEvent):
        shared(session(), add, [])
