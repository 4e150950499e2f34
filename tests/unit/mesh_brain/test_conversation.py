from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_brain.conversation import Message, Question, conversation

ASKED = Question("q", "user", "And now?")


def said(sender: str, content: str, message_id: str = "", **metadata: Any) -> dict[str, Any]:
    return {"sender": sender, "content": content, "message_id": message_id, "metadata": metadata}


def of(history: list[dict[str, Any]], question: Question = ASKED, **given: Any) -> list[Message]:
    bounds = {"own": "daena", "most_messages": 10, "most_characters": 1_000}
    return conversation(history, question, **{**bounds, **given})


def test_each_side_has_its_role_and_the_question_is_last() -> None:
    history = [said("user", "Hi."), said("daena", "Hello!"), said("user", "Fine?"), said("assistant", "Yes.")]
    assert of(history, system_prompt="Be kind.") == [
        Message("system", "Be kind."),
        Message("user", "Hi."),
        Message("assistant", "Hello!"),
        Message("user", "Fine?"),
        Message("assistant", "Yes."),
        Message("user", "And now?"),
    ]
    assert Message("user", "Hi.").to_dict() == {"role": "user", "content": "Hi."}


def test_what_came_after_the_question_is_left_out_and_the_question_is_there_once() -> None:
    history = [said("user", "Hi."), said("daena", "Hello!"), said("user", "And now?", "q"), said("user", "Hm?", "r")]
    assert of(history)[-2:] == [Message("assistant", "Hello!"), Message("user", "And now?")]
    assert len(of(history)) == 3


def test_messages_of_one_side_become_one() -> None:
    history = [said("user", "One."), said("user", "Two."), said("daena", "A."), said("daena", "B.")]
    assert of(history) == [
        Message("user", "One.\n\nTwo."),
        Message("assistant", "A.\n\nB."),
        Message("user", "And now?"),
    ]


def test_the_model_never_speaks_first() -> None:
    assert of([said("daena", "Hello!"), said("daena", "Anybody?")], system_prompt="s") == [
        Message("system", "s"),
        Message("user", "And now?"),
    ]


def test_several_people_are_named() -> None:
    history = [said("ada", "Hi."), said("daena", "Hello!"), said("scout", "Found it.")]
    assert [message.content for message in of(history)] == ["ada: Hi.", "Hello!", "scout: Found it.\n\nuser: And now?"]


def test_troubles_are_no_part_of_a_conversation() -> None:
    away = "The model's server cannot be reached."
    history = [
        said("user", "Hi."),
        said("daena", away, problem={"kind": "away", "sentence": away}),
        said("system", "Nobody answered."),
        said("daena", f"The answer is\n\n{away}", problem={"kind": "cut", "sentence": away}, incomplete=True),
        said("user", "  "),
        {"sender": 7, "content": "x"},
        {"sender": "user"},
        said("user", "Again.") | {"metadata": "none"},
        said("daena", "Odd.") | {"metadata": {"problem": "none"}},
    ]
    assert of(history) == [
        Message("user", "Hi."),
        Message("assistant", "The answer is"),
        Message("user", "Again."),
        Message("assistant", "Odd."),
        Message("user", "And now?"),
    ]


def test_the_oldest_go_first_and_whole() -> None:
    history = [said("user", "1" * 10), said("daena", "2" * 10), said("user", "3" * 10), said("daena", "4" * 10)]
    assert [message.content for message in of(history, most_characters=39)][:1] == ["3" * 10]
    assert [message.content for message in of(history, most_messages=3)] == ["3" * 10, "4" * 10, "And now?"]
    assert of(history, most_messages=1) == of(history, most_characters=0) == [Message("user", "And now?")]


def test_a_longer_message_ends_what_is_taken_though_an_older_one_would_fit() -> None:
    history = [said("user", "short"), said("daena", "x" * 100), said("user", "b")]
    assert of(history, most_characters=50) == [Message("user", "b\n\nAnd now?")]


@pytest.mark.parametrize(
    ("context", "content"),
    [(None, "And now?"), ("a file", "And now?\n\nContext: a file"), ({"a": [1]}, 'And now?\n\nContext: {"a":[1]}')],
)
def test_context_goes_with_the_question(context: Any, content: str) -> None:
    assert of([], ASKED._replace(context=context)) == [Message("user", content)]


messages = st.builds(
    said,
    st.sampled_from(["user", "ada", "daena", "assistant", "system"]),
    st.text(max_size=20),
    st.sampled_from(["a", "b", "q", ""]),
)


@given(st.lists(messages, max_size=30), st.integers(1, 12), st.integers(0, 100), st.sampled_from(["", "Be brief."]))
def test_whatever_was_said_both_sides_take_turns_within_the_bounds(
    history: list[dict[str, Any]], most_messages: int, most_characters: int, system_prompt: str
) -> None:
    found = of(history, most_messages=most_messages, most_characters=most_characters, system_prompt=system_prompt)
    if system_prompt:
        assert found.pop(0) == Message("system", system_prompt)
    assert [message.role for message in found] == [("user", "assistant")[n % 2] for n in range(len(found))]
    assert len(found) % 2
    assert found[-1].content.endswith("And now?")
    # Names of people and the lines between are ours.
    ours = sum(len("assistant: ") for _ in range(2 * most_messages)) + len("And now?")
    assert sum(len(message.content) for message in found) <= most_characters + ours
