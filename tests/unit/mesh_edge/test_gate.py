"""Who may come in, decided without any I/O."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from daena_mesh.revocations import token_id
from daena_mesh.tokens import Claims, Rights, mint
from mesh_edge import closing
from mesh_edge.credentials import Knock
from mesh_edge.follow import Follow
from mesh_edge.gate import Denied, Gate, Refusal, Silent
from mesh_edge.link import Link, Visitor
from mesh_edge.settings import EdgeSettings
from mesh_edge.topic_name import TopicName, agent, chat, council, events

KEY = "a key of tests, of thirty-two bytes"
HOME = Knock(origin="http://127.0.0.1:8000", host="127.0.0.1:8000")
NOW = 1_000_000.0


def gate(**settings: Any) -> Gate:
    return Gate(EdgeSettings(**settings))


def bearer(*read: str, sub: str = "ada", expires: float = NOW + 60, write: tuple[str, ...] = ()) -> Knock:
    token = mint(Claims(sub=sub, exp=expires, mesh=Rights(read, write)), KEY.encode())
    return HOME._replace(authorization=f"Bearer {token}", user_agent="browser/1")


def test_without_a_key_everybody_may_read_everything() -> None:
    for topic in (events(), council(), chat("s1"), agent("a1")):
        assert gate().authorize(HOME._replace(user_agent="x" * 500), topic, NOW) == Visitor("x" * 256)


@pytest.mark.promise("P-TOKEN-1")
@pytest.mark.parametrize(
    ("read", "topics"),
    [
        ((">",), {"council", "chat_s1", "agent_a1"}),
        (("*.>",), {"council", "chat_s1", "agent_a1"}),
        (("chat.s1.>", "session.s1.>"), {"chat_s1"}),
        (("chat.*.>", "session.*.>"), {"chat_s1"}),
        (("chat.s1.>",), set()),
        (("chat.s1.message", "session.s1.>"), set()),
        (("chat.s2.>", "session.s2.>"), set()),
        (("council.>",), {"council"}),
        (("council.*.update",), set()),
        (("agent.a1.>", "task.*.update.a1"), {"agent_a1"}),
        (("agent.a1.>", "task.>"), {"agent_a1"}),
        (("agent.a1.>",), set()),
        ((), set()),
    ],
)
def test_a_topic_is_allowed_when_all_it_carries_may_be_read(read: tuple[str, ...], topics: set[str]) -> None:
    strict, knock = gate(token_key=KEY), bearer(*read, write=("chat.s1.message",))
    for topic in (council(), chat("s1"), agent("a1")):
        if topic.name in topics:
            assert strict.authorize(knock, topic, NOW) == Visitor(
                "browser/1", "ada", ("chat.s1.message",), until=NOW + 60, token_id=token_id(knock.authorization)
            )
            continue
        if topic.name == "chat_s1":  # whether it belongs to them is known by the log alone
            visitor = strict.authorize(knock, topic, NOW)
            assert visitor.may_read == read
            assert strict.shown(visitor, Follow(topic)).name == topic._replace(circle="s1")
            continue
        with pytest.raises(Denied) as denied:
            strict.authorize(knock, topic, NOW)
        assert denied.value.why == closing.FORBIDDEN
        assert denied.value.refusal.status == 403


def test_who_will_name_topics_later_is_let_in_with_what_they_may_read() -> None:
    knock = bearer("chat.s1.>")
    visitor = gate(token_key=KEY).authorize(knock, None, NOW)
    named = token_id(knock.authorization)
    assert visitor == Visitor("browser/1", "ada", (), may_read=("chat.s1.>",), until=NOW + 60, token_id=named)


def test_a_token_that_does_not_count_is_one_that_is_missing() -> None:
    strict = gate(token_key=KEY)
    for knock in (HOME, bearer(">", expires=NOW), HOME._replace(authorization="Bearer \ud800\xff")):
        for topic in (events(), None):
            with pytest.raises(Denied) as denied:
                strict.authorize(knock, topic, NOW)
            assert denied.value.why == closing.UNAUTHENTICATED
            assert denied.value.refusal.status == 401
            assert denied.value.refusal.headers == {"WWW-Authenticate": "Bearer"}


def test_a_token_may_still_come_where_none_was_shown_at_all() -> None:
    patient, hasty = gate(token_key=KEY), gate(token_key=KEY, auth_within_s=0)
    kinds = []
    for door, knock in ((patient, HOME), (patient, HOME._replace(authorization="Bearer x")), (hasty, HOME)):
        with pytest.raises(Denied) as denied:
            door.authorize(knock, events(), NOW)
        assert denied.value.why == closing.UNAUTHENTICATED
        kinds.append(type(denied.value))
    assert kinds == [Silent, Denied, Denied]


def test_a_name_counts_where_nobody_authenticates() -> None:
    named = bearer(">")._replace(who="bob")
    assert gate().authorize(named, events(), NOW).who == "bob"
    assert gate(token_key=KEY).authorize(named, events(), NOW).who is None
    with pytest.raises(Refusal, match="who"):
        gate().authorize(HOME._replace(who="\n"), events(), NOW)


@pytest.mark.promise("P-TOKEN-2")
def test_no_refusal_shows_a_key_or_a_token() -> None:
    strict = gate(token_key=KEY, token_in_query=True)
    with pytest.raises(Denied) as denied:
        strict.authorize(HOME._replace(query_token="t0k3n"), events(), NOW)
    with pytest.raises(Refusal) as refused:
        strict.knock(HOME._replace(origin="http://evil.example", query_token="t0k3n"), 0)
    for text in (repr(denied.value), denied.value.why.reason, refused.value.body("x").decode()):
        assert KEY not in text
        assert "t0k3n" not in text


def status(gate: Gate, knock: Knock, at: float = 0) -> int | None:
    """Give the status of the refusal, None where there is none."""
    try:
        gate.knock(knock, at)
    except Refusal as refusal:
        return refusal.status
    return None


def test_with_a_key_pages_come_from_home_and_tools_from_anywhere() -> None:
    strict, open_door = gate(token_key=KEY), gate()
    vite = HOME._replace(origin="http://localhost:5173")
    assert status(open_door, vite) is None
    told = [status(strict, knock) for knock in (HOME, vite, HOME._replace(origin=None), Knock())]
    assert told == [None, 403, None, 403]


@pytest.mark.promise("P-RATE-1")
def test_so_many_handshakes_a_second_and_a_burst() -> None:
    slow = gate(handshakes_per_s=10)
    assert [status(slow, HOME, 100.0) for _ in range(25)] == [None] * 20 + [429] * 5
    assert [status(slow, HOME, at) for at in (100.05, 100.15, 100.15)] == [429, None, 429]
    with pytest.raises(Refusal) as refused:
        slow.knock(HOME, 100.15)
    assert refused.value.headers == {"Retry-After": "1"}


def test_the_rate_comes_before_anything_else_and_draining_after_the_origin() -> None:
    door = gate(handshakes_per_s=1)
    door.is_draining = True
    evil = HOME._replace(origin="http://evil.example")
    assert [status(door, knock) for knock in (evil, HOME, evil)] == [403, 503, 429]


@pytest.mark.promise("P-CROWD-1")
def test_an_address_and_a_user_have_as_many_sockets_as_they_may() -> None:
    door = gate(token_key=KEY, sockets_per_address=3, sockets_per_user=2)
    links = []

    def comes(user: str, address: str) -> int | None:
        knock = bearer(">", sub=user)._replace(address=address)
        visitor = door.authorize(knock, events(), NOW)
        try:
            door.last_look(knock, visitor)
        except Refusal as refusal:
            return refusal.status
        except Denied as denied:
            return denied.why.code * 1_000 + denied.refusal.status
        links.append(cast("Link", Held(visitor)))
        door.entered(links[-1], knock)
        return None

    assert [comes("ada", "1"), comes("ada", "2"), comes("ada", "3")] == [None, None, 4_429_429]
    assert [comes("bob", "1"), comes("eve", "1"), comes("joe", "1")] == [None, None, 429]
    door.left(links[0])
    assert [comes("joe", "1"), comes("ada", "4"), comes("ada", "5")] == [None, None, 4_429_429]
    door.is_draining = True
    assert comes("new", "9") == 503


class Held:
    """A link, as much of it as a gate looks at."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor


def test_a_refusal_is_a_problem() -> None:
    refusal = Refusal(400, "no such id")
    assert msgspec.json.decode(refusal.body("Refused")) == {
        "type": "about:blank",
        "title": "Refused",
        "status": 400,
        "detail": "no such id",
    }
    assert refusal.response("Refused").media_type == "application/problem+json"


@pytest.mark.promise("P-TOKEN-8")
@pytest.mark.parametrize(
    ("read", "shown"),
    [
        ((">",), (">",)),
        (("chat.s1.>", ">"), (">",)),
        (("chat.s1.>", "session.s1.>"), ("chat.s1.>", "session.s1.>")),
        (("chat.s1.>", "chat.s1.message", "chat.s1.>"), ("chat.s1.>",)),
        (("agent.*.activity", "no pattern", "$KV.>"), ("agent.*.activity",)),
        (("chat.s1.>", "chat.*.message"), ("chat.s1.>", "chat.*.message")),
        (("$KV.>",), None),
        ((), None),
        (tuple(f"chat.s{number}.>" for number in range(65)), None),
    ],
)
def test_of_all_events_everybody_is_shown_what_they_may_read(
    read: tuple[str, ...], shown: tuple[str, ...] | None
) -> None:
    strict, knock, follow = gate(token_key=KEY), bearer(*read), Follow(events())
    if shown is None:
        with pytest.raises(Denied):
            strict.authorize(knock, follow.name, NOW)
        return
    visitor = strict.authorize(knock, follow.name, NOW)
    assert strict.shown(visitor, follow).name == TopicName("events", shown)


@pytest.mark.promise("P-TOKEN-8")
def test_types_narrow_what_may_be_read() -> None:
    messages = events().narrowed(["chat.message"])
    found = messages.granted(("chat.s1.>", "agent.>"))
    assert found is not None
    assert found.patterns == ("chat.s1.message", "chat.s1.message.*")
    assert council().granted(("chat.s1.>",)) is None


@pytest.mark.promise("P-MEMBERS-2")
def test_a_session_that_no_pattern_allows_is_followed_for_what_it_says_of_itself_too() -> None:
    whole = chat("s_1").granted(("chat.s_1.>",))
    assert whole == TopicName("chat_s_1", ("chat.s_1.>", "session.s_1.>"), circle="s_1")
    assert whole.followed == whole.patterns
    narrow = chat("s1").narrowed(["chat.message", "session.updated"]).granted(())
    assert narrow is not None
    assert narrow.followed == ("chat.s1.message", "chat.s1.message.*", "session.s1.>")
    assert narrow.patterns == (*narrow.followed[:2], "session.s1.updated", "session.s1.updated.*")
    assert chat("s1").followed == chat("s1").patterns
