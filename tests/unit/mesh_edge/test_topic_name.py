"""Topics by the names of connections, and the subjects that they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import InvalidId
from daena_mesh.subjects import check_pattern
from mesh_edge.topic_name import topic_of

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


@pytest.mark.parametrize(
    ("name", "patterns"),
    [
        ("events", (">",)),
        ("council", ("council.>",)),
        ("chat_s1", ("chat.s1.>", "session.s1.>")),
        ("chat_a_b", ("chat.a_b.>", "session.a_b.>")),
        ("agent_a1", ("agent.a1.>", "task.*.update.a1")),
        ("agent_agent_1", ("agent.agent_1.>", "task.*.update.agent_1")),
    ],
)
def test_the_subjects_of_each_topic(name: str, patterns: tuple[str, ...]) -> None:
    assert topic_of(name)[:2] == (name, patterns)


@given(ident=IDS, kind=st.sampled_from(("chat", "agent")))
def test_every_id_names_a_topic_of_its_own(ident: str, kind: str) -> None:
    topic = topic_of(f"{kind}_{ident}")
    assert topic.name == f"{kind}_{ident}"
    for pattern in topic.patterns:
        assert check_pattern(pattern).count(ident)


@given(st.text(max_size=80).filter(lambda name: not name.startswith(("chat_", "agent_", "events", "council"))))
def test_anything_else_is_refused_in_one_printable_sentence(name: str) -> None:
    with pytest.raises(InvalidId) as refused:
        topic_of(name)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize("kind", ["chat", "agent"])
@pytest.mark.parametrize("ident", ["", "*", ">", "a.b", "a\n", "x" * 65, "\u0441", "a b", "\0"])
def test_what_is_no_id_names_no_topic(kind: str, ident: str) -> None:
    with pytest.raises(InvalidId):
        topic_of(f"{kind}_{ident}")
    with pytest.raises(InvalidId):
        topic_of(kind)
