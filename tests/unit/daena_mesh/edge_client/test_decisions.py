"""What a client of an edge decides: where it stands, whether to come back, which address, which token when."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from daena_mesh.edge_client.address import is_loopback, socket_url, topic_for
from daena_mesh.edge_client.bearer import Bearer, expiry_of
from daena_mesh.edge_client.endings import CLOSE_CODES, Comeback, Ending, backoff
from daena_mesh.edge_client.standing import Standing
from daena_mesh.errors import InvalidId, InvalidQuery, InvalidSubject
from daena_mesh.tokens import Claims, Rights, mint
from mesh_edge.closing import CLOSINGS, Reconnect
from tests.support.deadlines import within
from tests.support.tracked import ROOT

VECTORS = json.loads((ROOT / "tests" / "vectors" / "standing.json").read_text())
RULES = {
    Reconnect.NO: "fail",
    Reconnect.AS_TOLD: "told",
    Reconnect.AFTER_TOKEN: "token",
    Reconnect.LATER: "later",
}


@pytest.mark.promise("P-EDGECLIENT-1")
@pytest.mark.parametrize("story", VECTORS["stories"], ids=[story["name"] for story in VECTORS["stories"]])
def test_it_stands_where_the_client_in_javascript_does(story: dict[str, Any]) -> None:
    standing = Standing(story["since"])
    for step in story["steps"]:
        if "take" in step:
            assert standing.take(*step["take"]) == step["is"], step
        elif "start" in step:
            standing.start(step["start"])
        elif "skip" in step:
            standing.skip(step["skip"])
        else:
            assert standing.since == step["since"]


def test_a_bounded_number_of_cursors_is_remembered() -> None:
    remembers, standing = VECTORS["remembers"], Standing()
    for seq in range(2, remembers["upTo"] + 1, 2):
        standing.take(f"Rk3f-{seq}")
    assert standing.take(remembers["known"]) == "known"
    assert standing.take(remembers["new"]) == "new"


def test_what_is_no_cursor_changes_nothing() -> None:
    standing = Standing("Rk3f-1")
    standing.skip(7)
    standing.start({"R": None})
    assert standing.take(7, "Rk3f-9") == "new"
    assert standing.since == "Rk3f-1"


def test_it_knows_every_way_to_close() -> None:
    assert {
        closing.code: RULES[closing.reconnect] for closing in CLOSINGS if closing.reconnect is not Reconnect.YES
    } == CLOSE_CODES


def test_the_wait_grows_to_a_ceiling() -> None:
    for attempt, chance, wait_ms in VECTORS["backoff"]["waits"]:
        assert backoff(attempt, partial(float, chance)) * 1_000 == wait_ms


def comeback(*, renews: bool = False) -> Comeback:
    return Comeback(renews=renews, chance=lambda: 1.0)


def test_it_comes_back_as_the_code_says() -> None:
    assert comeback().after(Ending(1000, "")) is None
    assert comeback().after(Ending(4403, "", lasted_s=9)) is None
    assert comeback().after(Ending(0, "cut")) == 0.5
    assert comeback().after(Ending(4429, "")) == 20
    assert comeback().after(Ending(1012, "", lasted_s=9, told_s=0.15)) == 0.15
    assert comeback().after(Ending(1012, "", lasted_s=9, told_s=-1)) == 0
    assert comeback().after(Ending(1012, "")) == 0.5


def test_it_waits_longer_each_time_until_a_connection_has_lasted() -> None:
    attempts = comeback()
    assert [attempts.after(Ending(0, "", lasted_s=1)) for _ in range(7)] == [0.5, 1, 2, 4, 8, 16, 20]
    assert attempts.after(Ending(0, "", lasted_s=2.5)) == 0.5


def test_without_another_token_a_wrong_one_is_the_end() -> None:
    assert comeback().after(Ending(4401, "")) is None
    assert comeback().after(Ending(4401, "expired", lasted_s=60)) == 0.5
    assert comeback(renews=True).after(Ending(4401, "")) == 0.5


@pytest.mark.parametrize(
    ("base", "topic", "url"),
    [
        ("http://127.0.0.1:8000", "events", "ws://127.0.0.1:8000/ws/events"),
        ("https://mesh.example.com/below/", "chat_a_b", "wss://mesh.example.com/below/ws/chat/a_b"),
        ("wss://mesh.example.com/ws", "agent_scout", "wss://mesh.example.com/ws/agent/scout"),
    ],
)
def test_addresses(base: str, topic: str, url: str) -> None:
    assert socket_url(base, topic) == url
    asked = socket_url(base, topic, since="Rk3f-1.Sp9a-2", history=5, types=["chat.message", "chat.delta"])
    assert asked == f"{url}?since=Rk3f-1.Sp9a-2&types=chat.message%2Cchat.delta"
    assert socket_url(base, topic, history=5) == f"{url}?history=5"


def test_what_is_no_address_is_refused_in_words() -> None:
    with pytest.raises(InvalidId, match="no topic"):
        socket_url("http://127.0.0.1", "chat_a/b")
    for base in ("mesh.example.com", "ftp://mesh.example.com", "http://"):
        with pytest.raises(InvalidQuery, match="no address of a mesh"):
            socket_url(base, "events")


def test_proxies_do_not_stand_before_this_machine() -> None:
    assert [is_loopback(url) for url in ("http://127.0.0.1:1", "http://[::1]/", "http://localhost", "http://m")] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        (">", "events"),
        ("chat.>", "events"),
        ("chat.*.message", "events"),
        ("chat.s1.>", "chat_s1"),
        ("session.s1.updated", "chat_s1"),
        ("agent.scout.activity", "agent_scout"),
        ("council.>", "council"),
        ("task.t1.update.scout", "events"),
    ],
)
def test_the_smallest_topic_is_followed(pattern: str, topic: str) -> None:
    assert topic_for(pattern) == topic


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidSubject):
        topic_for("chat..x")


def token(lives_s: float) -> str:
    return mint(Claims(sub="ada", exp=time.time() + lives_s, mesh=Rights((">",), ())), b"x" * 32)


def test_when_a_token_expires() -> None:
    assert expiry_of(token(100)) == pytest.approx(time.time() + 100, abs=5)
    for none in ("", "a.b.c", "a.e30.c", "opaque", "a.?.c"):
        assert expiry_of(none) is None


async def test_a_token_is_shown_anew_before_it_expires() -> None:
    given = [token(3), None, token(600)]
    shown: list[str] = []
    was_shown = asyncio.Event()

    async def show(fresh: str) -> None:
        shown.append(fresh)
        was_shown.set()

    async def get() -> str | None:
        if given:
            return given.pop(0)
        raise RuntimeError("the application's own mistake")

    first, _, fresh = given
    bearer = Bearer(get)
    assert await bearer.ask() == first
    keeping = asyncio.create_task(bearer.keep(show))
    bearer.taken("no time")
    bearer.taken(datetime.now(UTC).isoformat())
    async with within(10):
        await was_shown.wait()
    assert shown == [fresh]
    keeping.cancel()


async def test_a_fixed_token_is_not_renewed() -> None:
    for fixed in ("jwt", None):
        bearer = Bearer(fixed)
        assert (await bearer.ask(), bearer.renews) == (fixed, False)
        async with within(5):
            await bearer.keep(lambda _: pytest.fail("it is the same"))
