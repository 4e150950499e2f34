from __future__ import annotations

from typing import Any

import msgspec
import pytest

from daena_mesh.errors import ConfigurationError
from daena_mesh.layout import Layout
from daena_mesh.log_door import LogDoor, LogRequest
from daena_mesh.nats_claims import User

LAYOUT = Layout()
NEXT = {"seq": 1, "next_by_subj": "chat.s1.message", "batch": 1_000, "max_bytes": 1_048_576}
LASTS = {"seq": 1, "multi_last": ["chat.s1.message.*", "session.s1.>", "mesh.epoch.RECORDS"], "max_bytes": 1_000}


@pytest.mark.parametrize(
    ("verb", "request_"),
    [
        ("STREAM.INFO", {}),
        ("KEPT", {}),
        ("SINCE", {"at": "2030-01-01T00:00:00Z"}),
        ("STREAM.MSG.GET", {"last_by_subj": "chat.s1.message"}),
        ("STREAM.MSG.GET", {"last_by_subj": "mesh.epoch.RECORDS"}),
        ("STREAM.MSG.GET", {"seq": 7}),
        ("DIRECT.GET", NEXT),
        ("DIRECT.GET", LASTS),
    ],
)
def test_what_is_about_the_session_may_be_asked(verb: str, request_: dict[str, Any]) -> None:
    assert LogRequest(verb, "RECORDS", request_).is_allowed("s1", LAYOUT)
    assert not LogRequest(verb, "KV_AGENTS", request_).is_allowed("s1", LAYOUT)
    assert not LogRequest(f"{verb}.x", "RECORDS", request_).is_allowed("s1", LAYOUT)
    assert not LogRequest(verb, "RECORDS", {**request_, "more": 1}).is_allowed("s1", LAYOUT)


@pytest.mark.promise("P-CREDS-5")
@pytest.mark.parametrize(
    ("verb", "request_"),
    [
        ("STREAM.INFO", {"subjects_filter": ">"}),
        ("STREAM.PURGE", {}),
        ("STREAM.DELETE", {}),
        ("CONSUMER.CREATE", {}),
        ("STREAM.MSG.GET", {}),
        ("STREAM.MSG.GET", {"last_by_subj": 7}),
        ("STREAM.MSG.GET", {"seq": "7"}),
        ("STREAM.MSG.GET", {"seq": True}),
        ("STREAM.MSG.GET", {"seq": 7, "next_by_subj": ">"}),
        *(
            ("STREAM.MSG.GET", {"last_by_subj": pattern})
            for pattern in (">", "*", "chat.>", "chat.*.message", "chat.s2.message", "chat.s1", "session.*.update")
        ),
        *(
            ("DIRECT.GET", {**NEXT, "next_by_subj": pattern})
            for pattern in (">", "chat.*.>", "chat.s2.>", "chat.s1.>.x", "chat.s1. x", "", None, "council.s1.update")
        ),
        ("DIRECT.GET", {**NEXT, "batch": 1_001}),
        ("DIRECT.GET", {**NEXT, "batch": -1}),
        ("DIRECT.GET", {**NEXT, "max_bytes": 1_048_577}),
        ("DIRECT.GET", {**NEXT, "start_time": "2030-01-01T00:00:00Z"}),
        ("DIRECT.GET", {"seq": 1, "next_by_subj": "chat.s1.message"}),
        ("DIRECT.GET", {"seq": 1, "batch": 5, "max_bytes": 1}),
        ("DIRECT.GET", {**LASTS, "multi_last": ["chat.s1.message", ">"]}),
        ("DIRECT.GET", {**LASTS, "multi_last": ["mesh.epoch.SIGNALS"]}),
        ("DIRECT.GET", {**LASTS, "multi_last": "chat.s1.message"}),
        ("DIRECT.GET", {"last_by_subj": "chat.s1.message"}),
        ("SINCE", {"at": 5}),
    ],
)
def test_nothing_else_may_be_asked(verb: str, request_: dict[str, Any]) -> None:
    assert not LogRequest(verb, "RECORDS", request_).is_allowed("s1", LAYOUT)


def test_who_has_an_agents_credentials_goes_through_the_door() -> None:
    assert LogDoor.of(None) is None
    assert LogDoor.of(User("ada", "U", ("role:ops",))) is None
    assert LogDoor.of(User("any", "U", ())) is None
    door = LogDoor.of(User("scout", "U", ("role:agent", "session:s1", "department:hr", "session:s2")))
    assert door is not None
    assert (door.name, door.sessions) == ("scout", ["s1", "s2"])


def test_a_question_goes_to_the_session_that_it_is_about() -> None:
    door = LogDoor("scout", ["s1", "s2"])
    request = {**NEXT, "next_by_subj": "chat.s2.message"}
    subject, body = door.address("DIRECT.GET", "RECORDS", request)
    assert subject == "mesh.log.s2.scout"
    assert msgspec.json.decode(body, type=LogRequest) == LogRequest("DIRECT.GET", "RECORDS", request)
    assert door.address("STREAM.INFO", "RECORDS", {})[0] == "mesh.log.s1.scout"
    lasts = {**LASTS, "multi_last": ["mesh.epoch.RECORDS", "session.s2.>"]}
    assert door.address("DIRECT.GET", "RECORDS", lasts)[0] == "mesh.log.s2.scout"
    assert door.split(["chat.s1.message", "chat.s2.message", "session.s1.>"]) == [
        ["chat.s1.message", "session.s1.>"],
        ["chat.s2.message"],
    ]


def test_another_session_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"of scout are not for chat\.s3\.message: `mesh creds agent"):
        LogDoor("scout", ["s1"]).check(["chat.s1.message", "chat.s3.message"])
    with pytest.raises(ConfigurationError, match="the credentials of scout are for no session"):
        LogDoor("scout", []).address("STREAM.INFO", "RECORDS", {})
