"""An answer as chunks of a UI message stream: what is shown is what was written, whatever comes in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daena_mesh.answers import answer_id
from daena_mesh.asks import Ask
from daena_mesh.events import Event
from mesh_api.ui_chunks import Chunk, UiChunks
from mesh_api.ui_streams import pending

QUESTION = Ask(session_id="s1", message_id="q1", sender="ada", content="How many?")
ANSWER = answer_id("s1", "q1")
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def event(event_type: str, payload: dict[str, Any], at: datetime = NOW) -> Event:
    stamp = at.isoformat()
    subject = event_type.replace(".", ".s1.", 1)
    return Event(event_type=event_type, payload=payload, id="e", timestamp=stamp, subject=subject, cursor="Rab-7")


def piece(index: object, text: object, *, run: str = "a", message_id: str = ANSWER, **more: Any) -> Event:
    sender = {"message_id": message_id, "sender": "daena", "run": run, "index": index, "text": text, **more}
    return event("chat.delta", sender)


def said(content: str, *, message_id: str = ANSWER, sender: str = "daena", **metadata: Any) -> Event:
    payload = {"message_id": message_id, "sender": sender, "content": content, "metadata": metadata}
    return event("chat.message", payload)


def shown(chunks: list[Chunk]) -> str:
    """Give the text that `useChat` shows, and hold the chunks against the protocol."""
    parts: dict[str, str] = {}
    is_open = None
    for chunk in chunks:
        match chunk["type"]:
            case "text-start":
                assert is_open is None
                is_open = chunk["id"]
                parts[is_open] = ""
            case "text-delta":
                assert chunk["id"] == is_open
                parts[is_open] += chunk["delta"]
            case "text-end":
                assert chunk["id"] == is_open
                is_open = None
            case "reset-step":
                parts, is_open = {}, None
    return "".join(parts.values())


def types(chunks: list[Chunk]) -> list[str]:
    return [chunk["type"] for chunk in chunks if chunk["type"] != "text-delta"]


def test_pieces_and_their_end() -> None:
    stream = UiChunks(QUESTION)
    assert stream.take(piece(0, "")) == [], "it is thought about"
    made = [chunk for i, text in enumerate(["one ", "two "], 1) for chunk in stream.take(piece(i, text))]
    assert made[:2] == [
        {"type": "start", "messageId": ANSWER, "messageMetadata": {"sender": "daena"}},
        {"type": "start-step"},
    ]
    assert (types(made[2:]), shown(made)) == (["text-start"], "one two ")
    made += stream.take(said("one two three"))
    assert types(made[-4:]) == ["text-end", "finish-step", "finish"]
    assert (shown(made), stream.is_ended) == ("one two three", True)
    assert made[-1]["messageMetadata"] == {"sender": "daena", "cursor": "Rab-7"}
    assert stream.take(said("again")) == stream.take(piece(4, "x")) == []


def test_an_answer_that_was_not_streamed_comes_at_once() -> None:
    made = UiChunks(QUESTION).take(said("42", message_id="m9", in_reply_to="q1"))
    assert types(made) == ["start", "start-step", "text-start", "text-end", "finish-step", "finish"]
    assert (made[0]["messageId"], shown(made)) == ("m9", "42")


def test_what_is_no_answer_to_the_question_is_passed_over() -> None:
    stream = UiChunks(QUESTION)
    others = [
        said("How many?", message_id="q1", sender="ada"),
        said("I answer myself", message_id="m8", sender="ada", in_reply_to="q1"),
        piece(0, "x", message_id="m7"),
        piece(0, 7),
        piece("0", "x"),
        event("chat.typing", {"sender": "bob"}),
    ]
    assert [chunk for other in others for chunk in stream.take(other)] == []
    begun = stream.take(piece(0, "mine", message_id="m9", in_reply_to="q1"))
    assert begun[0]["messageId"] == "m9"
    assert stream.take(piece(0, "another's")) == []


def test_a_message_without_a_question_has_its_id() -> None:
    stream = UiChunks(message_id="m1")
    assert stream.take(said("no", message_id="m2")) == []
    made = [*stream.take(piece(0, "yes", message_id="m1")), *stream.take(said("yes!", message_id="m1"))]
    assert (shown(made), stream.is_ended) == ("yes!", True)


@pytest.mark.parametrize("again", [["one ", "two ", "three"], ["one two ", "three"], ["one two three"]])
def test_who_takes_over_and_writes_the_same_takes_nothing_back(again: list[str]) -> None:
    stream = UiChunks(QUESTION)
    made = [chunk for i, text in enumerate(["one ", "two "]) for chunk in stream.take(piece(i, text))]
    made += [chunk for i, text in enumerate(again) for chunk in stream.take(piece(i, text, run="b"))]
    assert stream.take(piece(2, "too late")) == []
    made += stream.take(piece(len(again), " four", run="b"))
    assert (shown(made), types(made)) == ("one two three four", ["start", "start-step", "text-start"])


def test_who_takes_over_and_writes_something_else_takes_it_back() -> None:
    stream = UiChunks(QUESTION)
    made = [
        *stream.take(piece(0, "one ")),
        *stream.take(piece(0, "uno ", run="b")),
        *stream.take(piece(1, "due", run="b")),
    ]
    assert (shown(made), types(made)[2:]) == ("uno due", ["text-start", "reset-step", "text-start"])
    made += stream.take(said("eins"))
    assert shown(made) == "eins"


def test_a_hole_is_shown_until_it_is_filled() -> None:
    stream = UiChunks(QUESTION)
    made = [*stream.take(piece(0, "a")), *stream.take(piece(2, "c"))]
    assert shown(made) == "ac"
    made += [*stream.take(piece(1, "b")), *stream.take(piece(3, "d")), *stream.take(piece(3, "d"))]
    assert shown(made) == "abcd"


@pytest.mark.parametrize(
    ("metadata", "last"),
    [
        ({"incomplete": True, "reason": "stopped"}, {"type": "abort", "reason": "stopped"}),
        ({"incomplete": True, "reason": "lost"}, {"type": "error", "errorText": "The answer is incomplete: lost."}),
    ],
)
def test_an_answer_that_did_not_come_to_its_end(metadata: dict[str, Any], last: Chunk) -> None:
    stream = UiChunks(QUESTION)
    made = [*stream.take(piece(0, "one ")), *stream.take(said("one two", **metadata))]
    assert (shown(made), made[-1], stream.is_ended) == ("one two", last, True)


@pytest.mark.parametrize(
    "ends",
    [event("session.deleted", {}), said("Nobody answered.", message_id=ANSWER, sender="system", unanswered=True)],
)
def test_what_says_that_there_will_be_no_answer_is_an_error(ends: Event) -> None:
    stream = UiChunks(QUESTION)
    assert types(stream.take(ends)) == ["error"]
    assert stream.is_ended


def test_a_question_is_pending_until_it_is_answered_or_given_up() -> None:
    asked = event("chat.message", {"message_id": "q1", "sender": "ada", "content": "?", "metadata": {"asks": "daena"}})
    remark = said("by the way", message_id="m5", sender="bob")
    minute = timedelta(seconds=60)
    assert pending([asked, remark], NOW + minute, minute) is asked
    assert pending([asked, remark], NOW + 2 * minute, minute) is None
    assert pending([asked, remark, said("42")], NOW, minute) is None
    assert pending([remark], NOW, minute) is None
    assert pending([], NOW, minute) is None
