"""What one client sends is stored one after the other and answered in that order: with a desk that is told when."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from daena_mesh.ids import uuid7
from daena_mesh.log import Ack
from daena_mesh.subjects import Subject
from mesh_edge.outgoing import MOST_WAITING, Outgoing
from mesh_edge.sending import Author, Draft, Refused, SendMessage
from tests.unit.mesh_edge.test_envelope import payload_of

AUTHOR = Author(None, ("chat.>",))


class Till:
    """A desk that stores when it is told to."""

    def __init__(self) -> None:
        self.outcomes = Counter[str]()
        self.passed: list[str] = []
        self.asked: list[str | None] = []
        self.failures: dict[str | None, Exception] = {}
        self.may_store = asyncio.Semaphore(0)

    def draft(self, message: SendMessage, author: Author) -> Draft:
        assert author is AUTHOR
        if message.subject == "bad":
            raise Refused("bad_subject", "no")
        subject = Subject.parse(message.subject)
        return Draft(subject, "RECORDS", message.id, uuid7(), message.payload, b"{}", 0.0)

    def pass_on(self, draft: Draft) -> None:
        self.passed.append(draft.subject.id)

    async def store(self, draft: Draft) -> Ack:
        self.asked.append(draft.client_id)
        await self.may_store.acquire()
        if failure := self.failures.get(draft.client_id):
            raise failure
        return Ack(draft.event_id, f"Rk3f-{len(self.asked)}", len(self.asked), duplicate=False)


class Listener:
    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def send(self, data: bytes) -> None:
        frame = json.loads(payload_of(data))
        assert frame.pop("timestamp")
        self.heard.append(frame)

    @property
    def told(self) -> list[tuple[str, str | None]]:
        return [(frame["payload"].get("code", "ack"), frame["payload"].get("id")) for frame in self.heard]


async def settle() -> None:
    for _ in range(4 * MOST_WAITING):
        await asyncio.sleep(0)


def message(client_id: str | None, subject: str = "chat.s1.message") -> SendMessage:
    return SendMessage(subject, {}, client_id)


async def test_one_at_a_time_and_answered_in_order_whatever_becomes_of_each() -> None:
    desk, client = Till(), Listener()
    outgoing = Outgoing(client, desk)
    desk.failures = {"b": Refused("not_stored", "later", retry_after_ms=1_000), "d": RuntimeError("a fault")}
    for client_id in ("a", "b", None, "d"):
        outgoing.take(message(client_id), AUTHOR)
    outgoing.take(message("e", "bad"), AUTHOR)
    outgoing.take(message("f"), AUTHOR)
    await settle()
    assert (desk.asked, client.told) == (["a"], [])
    for _ in range(5):
        desk.may_store.release()
    await settle()
    assert desk.asked == ["a", "b", None, "d", "f"]
    codes = [("ack", "a"), ("not_stored", "b"), ("not_stored", "d"), ("bad_subject", "e"), ("ack", "f")]
    assert client.told == codes
    assert client.heard[0] == {"event_type": "ack", "payload": {"id": "a", "cursor": "Rk3f-1", "duplicate": False}}
    error = {"code": "not_stored", "message": "later", "id": "b", "retry_after_ms": 1_000}
    assert client.heard[1] == {"event_type": "error", "payload": error}
    assert desk.outcomes == {"not_stored": 2, "bad_subject": 1}
    outgoing.take(message("g"), AUTHOR)  # it goes on after it was idle
    desk.may_store.release()
    await settle()
    assert client.told[-1] == ("ack", "g")


async def test_what_waits_is_bounded_and_told_so() -> None:
    desk, client = Till(), Listener()
    outgoing = Outgoing(client, desk)
    outgoing.take(message("first"), AUTHOR)
    await settle()
    for number in range(MOST_WAITING + 1):
        outgoing.take(message(f"{number}"), AUTHOR)
    assert client.told == [("too_many", f"{MOST_WAITING}")]
    assert client.heard[0]["payload"]["retry_after_ms"] > 0
    for _ in range(MOST_WAITING + 1):
        desk.may_store.release()
    await settle()
    assert client.told[1:] == [("ack", "first"), *(("ack", f"{number}") for number in range(MOST_WAITING))]


async def test_after_a_violation_nothing_more_is_stored() -> None:
    desk, client = Till(), Listener()
    outgoing = Outgoing(client, desk)
    for client_id in ("a", "b", "c"):
        outgoing.take(message(client_id), AUTHOR)
    await settle()
    outgoing.drop()
    desk.may_store.release()
    await settle()
    assert desk.asked == ["a"]


async def test_typing_is_passed_on_once_a_second_for_each_session(monkeypatch: pytest.MonkeyPatch) -> None:
    at = [100.0]
    monkeypatch.setattr("mesh_edge.outgoing.time.monotonic", lambda: at[0])
    desk, client = Till(), Listener()
    outgoing = Outgoing(client, desk)
    for pause, sessions in ((0, "aab"), (0.5, "ab"), (0.5, "aabb"), (0.9, "a"), (0.2, "a")):
        at[0] += pause
        for session in sessions:
            outgoing.take(message(None, f"chat.{session}.typing"), AUTHOR)
    assert desk.passed == ["a", "b", "a", "b", "a"]
    assert client.heard == []
    for number in range(1_000):
        outgoing.take(message(None, f"chat.s{number}.typing"), AUTHOR)
    assert len(outgoing._typed) <= 16


async def test_typing_with_an_id_is_stored_and_acknowledged() -> None:
    desk, client = Till(), Listener()
    outgoing = Outgoing(client, desk)
    for client_id in ("a", "b"):
        outgoing.take(message(client_id, "chat.s1.typing"), AUTHOR)
        desk.may_store.release()
    await settle()
    assert client.told == [("ack", "a"), ("ack", "b")]
