from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import InvalidEvent
from daena_mesh.events import PAYLOADS, AgentActivity, AgentStatus, BrainStatus, ChatMessage, Event, Payload
from daena_mesh.layout import Layout
from daena_mesh.subjects import subject_for

SAID: dict[str, Any] = {"session_id": "s1", "sender": "user", "content": "hi", "message_id": "m1"}


def test_every_typed_payload_has_a_subject_that_a_stream_takes() -> None:
    for event_type, payload in PAYLOADS.items():
        assert payload.event_type == event_type
        assert payload.id_field in payload.__struct_fields__
        Layout().stream_of(subject_for(event_type, "x"))


@given(
    st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text() | st.lists(st.integers()), max_size=5)
)
def test_keys_that_a_type_does_not_name_pass_through(more: dict[str, Any]) -> None:
    payload = {**more, **SAID, "metadata": {"a": [1]}}
    assert ChatMessage.from_dict(payload).to_dict() == payload


@pytest.mark.parametrize(
    ("payload_type", "payload", "named"),
    [
        (ChatMessage, {**SAID, "content": 5}, r"chat\.message: .*`\$\.content`"),
        (ChatMessage, {"session_id": "s1"}, r"chat\.message: .*missing required field"),
        (AgentStatus, {"status": "asleep"}, r"agent\.status: .*`\$\.status`"),
    ],
)
def test_a_wrong_payload_is_refused_by_type_and_key(
    payload_type: type[Payload], payload: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidEvent, match=named):
        payload_type.from_dict(payload)


def test_what_agents_leave_out_is_filled_in() -> None:
    assert AgentActivity.from_dict({"activity": "searching"}).to_dict() == {"agent_id": "", "activity": "searching"}
    assert BrainStatus.from_dict({"status": {"load": 1}}).brain_id == "main"


def test_an_event_gives_its_typed_payload() -> None:
    def event(event_type: str, payload: dict[str, Any]) -> Event:
        return Event(event_type=event_type, payload=payload, id="1", timestamp="", subject="", cursor="")

    assert event("chat.message", SAID).typed == ChatMessage(**SAID)
    with pytest.raises(InvalidEvent, match=r"'project\.update' has no typed payload"):
        _ = event("project.update", {}).typed


def test_payloads_do_not_share_what_they_were_not_given() -> None:
    one, other = ChatMessage(**SAID), ChatMessage(**SAID)
    one.metadata["a"] = 1
    assert other.metadata == {}
