"""What a client says, message by message: who speaks too much or breaks the rules is told, and then closed."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, cast

import pytest

from mesh_edge import closing
from mesh_edge.client_messages import ClientMessage
from mesh_edge.closing import CLOSINGS, Closing
from mesh_edge.conversation import Conversation, Rules
from mesh_edge.link import NOBODY, Visitor
from mesh_edge.outgoing import Desk, Outgoing
from mesh_edge.sending import Author, Draft, Refused, SendMessage
from tests.unit.mesh_edge.test_envelope import payload_of

SEND = '{"type":"send","id":"c1","subject":"chat.s1.typing","payload":{}}'


class Client:
    def __init__(self, visitor: Visitor = NOBODY) -> None:
        self.visitor = visitor
        self.heard: list[dict[str, Any]] = []
        self.closed: list[Closing] = []

    def send(self, data: bytes) -> None:
        self.heard.append(json.loads(payload_of(data)))

    def takes(self, message: ClientMessage, text: str) -> bool:
        return False

    def close(self, why: Closing) -> None:
        self.closed.append(why)


class Notes:
    """A desk that notes who sends what, and takes nothing."""

    def __init__(self) -> None:
        self.outcomes = Counter[str]()
        self.seen: list[tuple[SendMessage, Author]] = []

    def draft(self, message: SendMessage, author: Author) -> Draft:
        self.seen.append((message, author))
        raise Refused("not_allowed", "no")


def conversation(client: Client, desk: Notes | None = None, messages_per_s: float = 1_000) -> Conversation:
    rules = Rules(cast("Desk", desk or Notes()), messages_per_s, ("chat.*.message",))
    return Conversation(client, rules)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [1_000.0]
    monkeypatch.setattr("mesh_edge.conversation.time.monotonic", lambda: at[0])
    return at


async def test_a_send_comes_from_the_visitor() -> None:
    for visitor, author in (
        (NOBODY, Author(None, ("chat.*.message",))),
        (Visitor("", "ada", ("chat.s1.>",)), Author("ada", ("chat.s1.>",))),
        (Visitor("", "ada", ()), Author("ada", ())),
    ):
        desk = Notes()
        conversation(Client(visitor), desk).hear(SEND)
        assert desk.seen == [(SendMessage("chat.s1.typing", {}, "c1"), author)]


async def test_ten_broken_sends_close_like_other_broken_messages() -> None:
    client = Client()
    talk = conversation(client)
    for _ in range(5):
        talk.hear('{"type":"send","id":"c1"}')
        talk.hear("huh?")
    assert [frame["payload"]["code"] for frame in client.heard] == ["bad_message"] * 10
    assert [frame["payload"].get("id") for frame in client.heard] == ["c1", None] * 5
    assert client.closed == [closing.BAD_REQUEST]


@pytest.mark.parametrize("text", ['{"type":"ping"}', SEND, "huh?"])
async def test_who_says_too_much_is_told_and_then_closed(clock: list[float], text: str) -> None:
    client, desk = Client(), Notes()
    talk = conversation(client, desk, messages_per_s=2)
    for _ in range(4):
        talk.hear('{"type":"pong"}')
    assert client.heard == []
    for _ in range(9):
        talk.hear(text)
    assert [frame["payload"]["code"] for frame in client.heard] == ["too_many"] * 9
    assert client.heard[0]["payload"].get("id") == ("c1" if text is SEND else None)
    assert client.closed == []
    assert desk.seen == []
    talk.hear(text)
    assert client.closed == [closing.TOO_MANY]
    clock[0] += 0.5
    talk.hear('{"type":"ping"}')
    assert client.heard[-1]["event_type"] == "pong"


@pytest.mark.parametrize("why", CLOSINGS, ids=lambda why: why.name)
async def test_what_waits_is_dropped_unless_the_close_is_nobodys_fault(
    monkeypatch: pytest.MonkeyPatch, why: Closing
) -> None:
    dropped: list[bool] = []
    monkeypatch.setattr(Outgoing, "drop", lambda _outgoing: dropped.append(True))
    talk = conversation(Client())
    talk.closed(why)  # it has sent nothing
    talk.hear(SEND)
    talk.closed(why)
    assert len(dropped) == (why.code not in {1000, 1001, 1012})
