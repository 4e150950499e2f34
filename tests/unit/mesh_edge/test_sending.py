"""What may be sent, as whom, and what an event becomes: without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import ConfigurationError
from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings
from daena_mesh.vault import Vault
from mesh_edge.sending import Author, Desk, Draft, Refused, SendMessage, patterns, read_send
from tests.unit.mesh_edge.test_envelope import VALUES

OPEN = Author(None, ("chat.*.message", "chat.*.typing"))
SETTINGS = MeshSettings(nats_url="nats://127.0.0.1:1", subjects="chat.reaction=RECORDS")
DESK = Desk(Mesh(SETTINGS, name="test", source="edge-1"))


def draft(
    subject: str, payload: dict[str, Any] | None = None, *, client_id: str | None = "c1", author: Author = OPEN
) -> Draft:
    return DESK.draft(SendMessage(subject, {"content": "hi"} if payload is None else payload, client_id), author)


def refusal(subject: str, payload: dict[str, Any] | None = None, author: Author = OPEN) -> str:
    with pytest.raises(Refused) as refused:
        draft(subject, payload, author=author)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400
    return refused.value.code


def test_a_message_becomes_an_event() -> None:
    made = draft("chat.s1.message", {"content": "hi", "mood": "good"})
    body = json.loads(made.body)
    assert body.pop("timestamp").startswith("20")
    assert body == {
        "event_type": "chat.message",
        "payload": {
            "session_id": "s1",
            "sender": "user",
            "content": "hi",
            "message_id": made.event_id,
            "mood": "good",
        },
        "id": made.event_id,
        "source": "edge-1",
    }
    assert made.stream == "RECORDS"
    assert not made.is_fleeting


def test_with_credentials_that_are_for_an_edge_alone_it_ends_no_subject_with_a_name(tmp_path: Path) -> None:
    credentials = str(Vault.create(tmp_path / "creds").ensure("edge"))
    desk = Desk(Mesh(MeshSettings(nats_creds=credentials, subjects="chat.reaction=RECORDS"), name="edge"))
    ada = Author("ada", (">",))

    def sent(subject: str, payload: dict[str, Any] | None = None) -> Draft:
        return desk.draft(SendMessage(subject, payload or {"content": "hi"}, "c1"), ada)

    with_name, without = sent("chat.s1.message.ada"), sent("chat.s1.message")
    assert str(with_name.subject) == "chat.s1.message"
    assert with_name.event_id == without.event_id
    assert with_name.payload["sender"] == "ada"
    assert str(sent("chat.s1.typing.ada", {}).subject) == "chat.s1.typing"
    assert str(sent("chat.s1.reaction.ada", {}).subject) == "chat.s1.reaction.ada"
    for subject in ("agent.ada.activity", "task.t1.update.ada", "brain.main.status"):
        with pytest.raises(Refused) as refused:
            sent(subject, {})
        assert refused.value.code == "not_allowed"
        assert "with its credentials" in str(refused.value)


def test_what_the_client_says_of_itself_stays_without_a_token() -> None:
    said = {"content": "", "sender": "ada", "message_id": "m"}
    assert draft("chat.s1.message", said).payload == {**said, "session_id": "s1"}


def test_with_a_token_the_sender_is_its_sub() -> None:
    token = Author("ada", ("chat.s1.>",))
    assert draft("chat.s1.message", {"content": "", "sender": "bob"}, author=token).payload["sender"] == "ada"
    assert draft("chat.s1.message", author=token).payload["sender"] == "ada"
    assert draft("chat.s1.typing", {}, author=token).payload == {"session_id": "s1", "sender": "ada"}
    assert draft("chat.s1.message.ada", author=token).subject.author == "ada"
    assert refusal("chat.s1.message.bob", author=token) == "not_allowed"


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        *(
            (subject, "bad_subject")
            for subject in ("", "chat", "chat.s1", "chat.*.message", "chat.s1.>", "chat.s 1.message")
        ),
        *((subject, "bad_subject") for subject in ("a.b.c.d.e", "." * 60_000, "x" * 60_000, "chat.s1.message\r\n")),
        *(
            (subject, "bad_subject")
            for subject in ("LIVE.chat.s1.message", "$JS.API.INFO", "_INBOX.a.b", "$KV.PRESENCE.x")
        ),
        *((f"session.s1.{verb}", "not_allowed") for verb in ("created", "updated", "deleted")),
        *((subject, "not_allowed") for subject in ("council.c1.update", "system.all.notice", "presence.chat_s1.join")),
        *((subject, "not_allowed") for subject in ("chat.s1.delta", "chat.s1.message.ada", "agent.a1.activity")),
        *((subject, "not_allowed") for subject in ("live.chat.s1.message", "ask.daena.vp", "chat.s1.reaction")),
    ],
)
def test_without_a_token_one_may_say_something_and_type(subject: str, code: str) -> None:
    assert refusal(subject) == code


@pytest.mark.parametrize("subject", ["session.s1.updated", "presence.events.leave"])
def test_what_only_services_write_no_token_allows(subject: str) -> None:
    assert refusal(subject, author=Author("root", (">",))) == "not_allowed"


def test_a_token_allows_what_its_patterns_cover_and_a_stream_takes() -> None:
    token = Author("ada", ("chat.s1.*", "council.c1.update", "ask.>", "weather.>"))
    for subject in ("chat.s1.reaction", "chat.s1.message", "council.c1.update"):
        assert str(draft(subject, {"content": "hi", "update": 1}, author=token).subject) == subject
    assert refusal("chat.s2.reaction", author=token) == "not_allowed"
    assert refusal("ask.daena.vp", author=token) == "bad_subject"
    assert refusal("weather.rome.report", author=token) == "bad_subject"
    assert refusal("chat.s1.reaction", author=Author("ada", ())) == "not_allowed"


@pytest.mark.promise("P-MEMBERS-2")
def test_what_no_pattern_allows_may_be_sent_by_who_belongs_to_the_session() -> None:
    member = Author("ada", ("chat.s2.*", "council.>"))
    for subject in ("chat.s1.message", "chat.s1.typing", "chat.s1.stop", "chat.s1.message.ada"):
        assert draft(subject, author=member).belonging == "ada"
        assert refusal(subject, author=Author(None, ())) == "not_allowed"
    for subject in ("chat.s2.message", "council.c1.update"):
        assert draft(subject, {"content": "hi", "update": 1}, author=member).belonging is None
    for subject in ("chat.s1.delta", "chat.s1.message.bob", "agent.a1.activity", "session.s1.updated"):
        assert refusal(subject, author=member) == "not_allowed"


@pytest.mark.parametrize(
    "payload", [{}, {"content": 5}, {"content": "", "session_id": "s2"}, {"content": "", "session_id": None}]
)
def test_a_payload_must_fit_its_type_and_its_subject(payload: dict[str, Any]) -> None:
    assert refusal("chat.s1.message", payload) == "bad_payload"


def test_an_event_may_not_be_larger_than_the_mesh_takes() -> None:
    assert refusal("chat.s1.message", {"content": "x" * SETTINGS.max_body_bytes}) == "too_large"


@given(
    st.lists(
        st.tuples(st.sampled_from(("s1", "s2")), st.sampled_from((None, "ada", "bob")), st.text("ab", min_size=1)),
        min_size=2,
        max_size=8,
    )
)
def test_the_id_is_that_of_subject_author_and_client_id(sends: list[tuple[str, str | None, str]]) -> None:
    ids = {
        send: draft(f"chat.{send[0]}.message", client_id=send[2], author=Author(send[1], OPEN.may_write)).event_id
        for send in sends
    }
    assert len(set(ids.values())) == len(set(sends))
    session, user, client_id = sends[0]
    again = draft(f"chat.{session}.message", {"content": "?"}, client_id=client_id, author=Author(user, OPEN.may_write))
    assert again.event_id == ids[sends[0]]


def test_without_an_id_each_is_another_event() -> None:
    assert draft("chat.s1.message", client_id=None).event_id != draft("chat.s1.message", client_id=None).event_id


def test_typing_is_fleeting_unless_somebody_waits_for_it() -> None:
    assert draft("chat.s1.typing", {}, client_id=None).is_fleeting
    assert not draft("chat.s1.typing", {}).is_fleeting


@given(VALUES)
def test_any_value_may_stand_in_a_payload(value: Any) -> None:
    made = draft("chat.s1.message", {"content": "hi", "more": value})
    assert json.loads(made.body)["payload"]["more"] == value


@pytest.mark.parametrize(
    "text",
    [
        *('{"type":"send"}', '{"type":"send","subject":"chat.s1.message"}', '{"type":"send","payload":{}}'),
        *('{"subject":5,"payload":{}}', '{"subject":"a","payload":[]}', '{"subject":"a","payload":"{}"}'),
        *('{"subject":"a","payload":{},"id":5}', '{"subject":"a","payload":{},"id":""}', '{"subject":"a","payload":{'),
        '{"subject":"a","payload":{},"id":"%s"}' % ("x" * 129),
        '{"subject":"a","payload":{"a":%s}}' % ("[" * 5_000),
    ],
)
def test_what_is_no_send_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_send(text)
    assert refused.value.code == "bad_message"
    assert len(str(refused.value)) < 200


def test_the_setting_is_read_and_refused_by_its_name() -> None:
    assert patterns(" chat.*.message , chat.*.typing,") == OPEN.may_write
    assert patterns("") == ()
    with pytest.raises(ConfigurationError, match="MESH_OPEN_WRITE"):
        patterns("chat.>.message")
