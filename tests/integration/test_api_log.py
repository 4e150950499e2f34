"""The log in pages: from a position, from a time, back from the newest; for who may read a part of it only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daena_mesh.embedded import NatsServer
from mesh_api.settings import ApiSettings
from mesh_api.streams import purge
from tests.support.api import Api, running_api
from tests.support.deadlines import eventually, within
from tests.support.hand_agent import HandAgent
from tests.support.tokens import KEY, token

PATH = "/api/v1/events"


async def read(api: Api, /, **query: Any) -> Any:
    response = await api.client.get(PATH, params=query)
    assert response.status_code == 200, response.text
    return response.json()


async def refused(api: Api, **query: Any) -> tuple[int, str, str]:
    response = await api.client.get(PATH, params=query)
    said = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, said["type"].removeprefix("urn:daena-mesh:problem:"), said["detail"]


def texts(page: Any) -> list[str]:
    return [event["payload"].get("text") or event["payload"]["activity"] for event in page["events"]]


async def story(api: Api, count: int) -> list[str]:
    """Write what a council says and what an agent does in turn, and give their texts."""
    scout, told = HandAgent(api.mesh, "scout"), []
    for i in range(count):
        if i % 2:
            await api.mesh.publish("council.c1.update", {"text": f"m{i}"})
            told.append(f"m{i}")
        else:
            await scout.act(f"a{i}")
            told.append(f"a{i}")
    return told


@pytest.mark.promise("P-LOG-1")
async def test_pages_onward_and_back_show_all_of_both_streams_once_and_by_time(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api, within(60):
        empty = await read(api)
        assert (empty["events"], empty["more"], empty["gaps"]) == ([], False, [])
        told = await story(api, 25)
        onward: list[str] = []
        page = await read(api, since=empty["next"], limit=4)
        while True:
            onward += texts(page)
            if not page["more"]:
                break
            page = await read(api, since=page["next"], limit=4)
        assert onward == told
        assert (await read(api, since=page["next"]))["events"] == []
        back = await read(api, limit=4)
        newest, end = back, texts(back)
        while back["more"]:
            back = await read(api, before=back["previous"], limit=4)
            end = [*texts(back), *end]
        assert end == told
        await story(api, 2)
        assert texts(await read(api, since=newest["next"])) == ["a0", "m1"]
        filtered = await read(api, subject=["council.*.update", "agent.scout.status"], limit=3)
        assert (texts(filtered), filtered["more"]) == (["m21", "m23", "m1"], True)
        assert texts(await read(api, subject="council.>", before=filtered["previous"], limit=2)) == ["m17", "m19"]


async def test_an_event_is_what_a_socket_would_get_and_what_is_none_is_counted(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api, within(30):
        ack = await api.mesh.publish("council.c1.update", {"text": "<b>"}, event_id="e1")
        await api.mesh.connection.request("agent.scout.activity", b"poison", timeout_s=5)
        page = await read(api)
        (event,) = page["events"]
        assert (event["topic"], event["cursor"], event["subject"]) == ("events", ack.cursor, "council.c1.update")
        assert (event["event_type"], event["payload"]["text"], event["id"]) == ("council.update", "<b>", "e1")
        assert "prev" not in event
        assert page["unreadable"] == 1


@pytest.mark.promise("P-LOG-1")
async def test_a_time_and_a_cursor_of_one_stream_lead_to_the_same_moment_in_all_of_them(
    nats_server: NatsServer,
) -> None:
    async with running_api(nats_server.url) as api, within(30):
        await story(api, 6)
        all_of_it = (await read(api))["events"]
        third = all_of_it[3]
        stored = await api.mesh.log.get("RECORDS", int(third["cursor"].rpartition("-")[2]))
        assert stored is not None
        seconds, _, fraction = stored.time.decode().removesuffix("Z").partition(".")
        at = f"{seconds}.{fraction[:6]}Z"  # to the microsecond, so a little before
        assert texts(await read(api, at=at)) == ["m3", "a4", "m5"]
        assert texts(await read(api, since=third["cursor"])) == ["a4", "m5"]
        assert texts(await read(api, at="1999-01-01T00:00:00Z")) == texts({"events": all_of_it})
        assert texts(await read(api, at="2999-01-01T00:00:00Z")) == []
        assert texts(await read(api, at="1999-01-01T00:00:00Z", subject="agent.*.activity")) == ["a0", "a2", "a4"]


async def test_what_was_removed_is_a_gap_or_just_not_there(nats_server: NatsServer) -> None:
    settings = ApiSettings(nats_url=nats_server.url, signals_max_bytes=65_536)
    async with running_api(nats_server.url, settings=settings) as api, within(60):
        begin = (await read(api))["next"]
        scout = HandAgent(api.mesh, "scout")
        for _ in range(40):
            await scout.act("x" * 5_000)

        async def told() -> Any:  # what the limits have kept is known for a second
            page = await read(api, since=begin)
            return page if page["gaps"] else None

        page = await eventually(told)
        (gap,) = page["gaps"]
        assert (gap["before"], gap["reason"]) == (begin.split(".")[1], "expired")
        assert 0 < len(page["events"]) < 40
        first = page["events"][0]["cursor"]
        assert int(gap["after"].rpartition("-")[2]) == int(first.rpartition("-")[2]) - 1
        await purge(api.mesh.connection, "SIGNALS", "agent.>")
        assert (await read(api))["events"] == []


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ({"subject": "chat..>"}, "invalid-subject"),
        ({"subject": "a b"}, "invalid-subject"),
        ({"subject": "\r\nPUB x 0\r\n"}, "invalid-subject"),
        ({"subject": "other.>"}, "not-covered"),
        ({"subject": ["chat.>"] * 9}, "wrong-parameter"),
        ({"since": "nonsense"}, "invalid-cursor"),
        ({"since": "Rxxxxxx-1"}, "invalid-cursor"),
        ({"since": "Zxxxxxx-1"}, "invalid-cursor"),
        ({"before": ""}, "invalid-cursor"),
        ({"at": "yesterday"}, "invalid-query"),
        ({"at": "2026-01-01T00:00:00Z", "since": "Rxxxxxx-1"}, "invalid-query"),
        ({"limit": 0}, "wrong-parameter"),
        ({"limit": 501}, "wrong-parameter"),
    ],
)
async def test_bad_questions_get_one_clear_sentence(nats_server: NatsServer, query: dict[str, Any], kind: str) -> None:
    async with running_api(nats_server.url) as api:
        status, name, detail = await refused(api, **query)
        assert (status, name) == (422, kind)
        assert 20 < len(detail) < 400
        assert "\r" not in detail
        position = (await read(api))["next"].split(".")[0]
        ahead = position.rpartition("-")[0] + "-999999"
        assert (await refused(api, since=ahead))[1] == "invalid-cursor"
        assert "SIGNALS" in (await refused(api, before=position))[2]
        assert api.mesh.connection.connects == 1


@pytest.mark.promise("P-LOG-1")
async def test_with_tokens_one_reads_what_one_may_read(nats_server: NatsServer) -> None:
    settings = ApiSettings(nats_url=nats_server.url, token_key=KEY)

    async def ask(api: Api, read: tuple[str, ...], path: str = PATH, **query: Any) -> Any:
        shown = token(*read)
        return await api.client.get(path, params=query, headers={"Authorization": f"Bearer {shown}"})

    async with running_api(nats_server.url, settings=settings) as api, within(30):
        for session in ("s1", "s2"):
            await api.mesh.publish(f"council.{session}.update", {"text": session})
        await HandAgent(api.mesh, "scout").act("searching")
        assert texts((await ask(api, (">",))).json()) == ["s1", "s2", "searching"]
        mine = ("council.s1.>", "chat.s1.>", "not a pattern", "council.*.message.>")
        assert texts((await ask(api, mine)).json()) == ["s1"]
        assert texts(
            (await ask(api, ("council.s1.>", "agent.>"), subject=["council.>", "agent.*.activity"])).json()
        ) == [
            "s1",
            "searching",
        ]
        for read, subject in ((mine, "council.s2.update"), (mine, "agent.>"), ((), ">")):
            response = await ask(api, read, subject=subject)
            assert (response.status_code, response.json()["title"]) == (403, "The token does not allow this")
        many = tuple(f"council.s{i}.>" for i in range(33))
        assert (await ask(api, many)).json()["type"].endswith("invalid-query")
        assert texts((await ask(api, many, subject="council.s2.update")).json()) == ["s2"]
        assert (await ask(api, ("chat.>",), "/api/v1/mesh")).status_code == 403
        assert (await ask(api, ("system.>",), "/api/v1/mesh")).status_code == 200


async def test_many_who_read_at_once_all_get_their_page(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url) as api, within(60):
        await story(api, 10)
        pages = await asyncio.gather(*(read(api, limit=3) for _ in range(20)))
        assert {tuple(texts(page)) for page in pages} == {("m7", "a8", "m9")}
