from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import ConfigurationError, NotCovered
from daena_mesh.layout import LETTERS, RECORDS, SIGNALS, TTL_S, Layout, epoch_subject
from daena_mesh.subjects import covers, overlaps

OWNERS = {
    RECORDS: [
        *("chat.s.message", "chat.s.message.author", "session.s.created", "session.s.updated", "session.s.deleted"),
        "council.c.update",
    ],
    SIGNALS: [
        *(
            "chat.s.delta",
            "chat.s.delta.author",
            "chat.s.typing",
            "chat.s.stop",
            "chat.s.stop.author",
            "agent.a.activity",
            "agent.a.status",
        ),
        *(
            "task.t.update.author",
            "brain.main.status",
            "presence.chat_s.join",
            "presence.events.leave",
            "system.all.notice",
        ),
    ],
}


@pytest.mark.parametrize(("stream", "subject"), [(stream, s) for stream, subjects in OWNERS.items() for s in subjects])
def test_every_subject_of_the_contract_has_its_stream(stream: str, subject: str) -> None:
    assert Layout().stream_of(subject) == stream


@pytest.mark.promise("P-COVER-1")
@pytest.mark.parametrize(
    "subject", ["chat.s.reaction", "project.p.update", "chat.s.message.a.b", "live.chat.s.message", "ask.a.b"]
)
def test_what_no_stream_takes_is_refused_by_the_name_of_the_setting(subject: str) -> None:
    with pytest.raises(NotCovered, match="MESH_SUBJECTS"):
        Layout().stream_of(subject)


def test_subjects_are_added_as_event_types_and_as_patterns() -> None:
    layout = Layout.from_setting(" chat.reaction=RECORDS , project.>=RECORDS,zone.*.tick=SIGNALS,")
    assert layout.stream_of("chat.s.reaction") == RECORDS
    assert layout.stream_of("chat.s.reaction.author") == RECORDS
    assert layout.stream_of("project.p.update") == RECORDS
    assert layout.stream_of("zone.z.tick") == SIGNALS
    with pytest.raises(NotCovered):
        layout.stream_of("zone.z.tock")
    assert {"chat.*.reaction", "chat.*.reaction.*", "project.>"} <= set(layout.subjects(RECORDS))


@pytest.mark.parametrize(
    "setting",
    [
        *(
            "chat.reaction",
            "chat.reaction=",
            "chat.reaction=records",
            "chat=RECORDS",
            "=RECORDS",
            "chat.>=RECORDS",
            ">=RECORDS",
        ),
        *(
            "chat.message=SIGNALS",
            "agent.move=SIGNALS",
            "mesh.x=RECORDS",
            "live.x=RECORDS",
            "ask.>=RECORDS",
            "svc.>=SIGNALS",
        ),
        *(
            "a b.c=RECORDS",
            "a.b c=RECORDS",
            "*.x=RECORDS",
            "a..b=RECORDS",
            "a.>.b=RECORDS",
            "x.y=RECORDS,x.y=SIGNALS,x.*.y=RECORDS",
        ),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(setting: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^MESH_SUBJECTS: "):
        Layout.from_setting(setting)


TOKEN = st.sampled_from(["chat", "agent", "zone", "a", "b", "*", ">"])


@given(
    st.dictionaries(
        st.lists(TOKEN, min_size=1, max_size=4).map(".".join), st.sampled_from([RECORDS, SIGNALS]), max_size=4
    )
)
def test_no_layout_has_overlaps(extra: dict[str, str]) -> None:
    try:
        layout = Layout(extra)
    except ConfigurationError:
        return
    everything = [pattern for stream in layout.streams for pattern in layout.subjects(stream)]
    for one, other in itertools.combinations(everything, 2):
        assert not overlaps(one, other)
    assert not any(overlaps(pattern, "live.>") for pattern in everything)


@pytest.mark.parametrize(
    ("patterns", "split"),
    [
        (["chat.s.>", "session.s.>"], {RECORDS: ("chat.s.>", "session.s.>"), SIGNALS: ("chat.s.>",)}),
        (["chat.s.message"], {RECORDS: ("chat.s.message",)}),
        (["agent.a.>", "task.*.update.a"], {SIGNALS: ("agent.a.>", "task.*.update.a")}),
        ([">"], {RECORDS: (">",), SIGNALS: (">",)}),
        (["project.>"], {}),
    ],
)
def test_patterns_are_split_by_stream(patterns: list[str], split: dict[str, tuple[str, ...]]) -> None:
    assert Layout().split(patterns) == split


def test_every_stream_has_a_letter_and_a_marker_that_no_event_can_have() -> None:
    layout = Layout()
    assert set(LETTERS) == set(layout.streams)
    assert len(set(LETTERS.values())) == len(LETTERS)
    for stream in layout.streams:
        assert epoch_subject(stream) in layout.subjects(stream)


def test_what_expires_by_itself_lies_in_signals() -> None:
    for event_type in TTL_S:
        domain, verb = event_type.split(".")
        assert Layout().stream_of(f"{domain}.x.{verb}") == SIGNALS
        assert covers("chat.*.*", f"{domain}.x.{verb}")
