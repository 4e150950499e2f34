from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daena_mesh.answers import LOOK_AFTER_S, Answers, answer_id, is_answer, is_old, is_refusal
from daena_mesh.asks import Ask
from daena_mesh.events import Event

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh

ASK = Ask(session_id="s1", message_id="m1", sender="ada", content="?")


def message(**payload: Any) -> Event:
    return Event(
        event_type="chat.message",
        payload={"session_id": "s1", "sender": "scout", "content": "x", "message_id": "a", "metadata": {}, **payload},
        id="a",
        timestamp="2026-01-01T00:00:00Z",
        subject="chat.s1.message",
        cursor="Rx-1",
    )


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_a_question_has_one_answer_id_and_another_one_another(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert answer_id(*one) == answer_id(*one)
    # A session's id has no NUL in it, so no two pairs run together.
    if one != other and not any("\0" in part for part in (*one, *other)):
        assert answer_id(*one) != answer_id(*other)


@pytest.mark.parametrize(
    ("event", "ends"),
    [
        (message(message_id=answer_id("s1", "m1")), True),
        (message(message_id=answer_id("s1", "m2")), False),
        (message(metadata={"in_reply_to": "m1"}), True),
        (message(metadata={"in_reply_to": "m2"}), False),
        (message(metadata={"in_reply_to": "m1"}, sender="ada"), False),
        (message(metadata=None), False),
        (message(metadata=["in_reply_to"]), False),
        (message(message_id="m1"), False),
    ],
)
def test_what_ends_a_question(event: Event, ends: bool) -> None:
    assert is_answer(event, ASK) is ends


@pytest.mark.parametrize(
    ("event", "is_none"),
    [
        (message(sender="system", metadata={"given_up": True}), True),
        (message(sender="system", metadata={"unanswered": True}), True),
        (message(sender="scout", metadata={"unanswered": True}), False),
        (message(sender="system", metadata={}), False),
        (message(sender="system", metadata=None), False),
    ],
)
def test_what_says_that_there_is_no_answer(event: Event, is_none: bool) -> None:
    assert is_refusal(event) is is_none


@pytest.mark.promise("P-ASK-2")
def test_an_old_question_is_looked_up_long_before_the_streams_window_ends() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert not is_old(now - timedelta(seconds=LOOK_AFTER_S), now)
    assert is_old(now - timedelta(seconds=LOOK_AFTER_S + 1), now)
    assert LOOK_AFTER_S < 600 / 2


@pytest.mark.parametrize(("cursor", "at_once"), [("", 4), ("Rother-7", 4), ("Rhere-7", 40)])
async def test_who_knows_no_position_waits_for_a_turn_to_look(
    monkeypatch: pytest.MonkeyPatch, cursor: str, at_once: int
) -> None:
    looking: list[int] = [0]

    class Log:
        async def head(self, _stream: str, _patterns: Sequence[str]) -> int:
            return 9

        def cursor(self, _stream: str, seq: int) -> str:
            return f"Rhere-{seq}"

    async def before(_answers: Answers, _asked_at: datetime, _head: int) -> int:
        return 0

    async def search(_answers: Answers, _ask: Ask, _patterns: Sequence[str], position: int, head: int) -> None:
        assert (position, head) == (7 if at_once > 4 else 0, 9)
        looking.append(looking[-1] + 1)
        await asyncio.sleep(0)
        looking.append(looking[-1] - 1)

    monkeypatch.setattr(Answers, "_before", before)
    monkeypatch.setattr(Answers, "_search", search)
    answers, ask = Answers(cast("Mesh", SimpleNamespace(log=Log()))), replace(ASK, cursor=cursor)
    await asyncio.gather(*(answers.find(ask, datetime.now(UTC)) for _ in range(40)))
    assert len(looking) == 81
    assert max(looking) == at_once
