"""Asking a server of language models over real HTTP, its faults included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mesh_brain.conversation import Message
from mesh_brain.server import Completion
from mesh_brain.server import ModelServer as Asking
from mesh_brain.settings import BrainSettings, Place
from mesh_brain.trouble import Trouble
from tests.support.deadlines import eventually, within
from tests.support.model_server import (
    ModelServer,
    Reply,
    breaks_off,
    chunk,
    early_end,
    error_event,
    fails,
    garbage,
    says,
    silence,
)

QUESTION = [Message("system", "Be brief."), Message("user", "Hi.")]
SOON = {"retry-after-ms": "1"}


@asynccontextmanager
async def asking(url: str, api_key: str = "", **settings: Any) -> AsyncIterator[Asking]:
    """Give what asks the server at ``url``, quickly."""
    server = Asking(Place(url, api_key), BrainSettings(**{"brain_most_pause_s": 0.02, **settings}))
    try:
        yield server
    finally:
        await server.close()


class Answer:
    """What was written."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.completion = Completion("m")

    async def write(self, text: str) -> None:
        self.pieces.append(text)


async def ask(url: str, **settings: Any) -> Answer:
    """Ask for an answer, and give it."""
    answer = Answer()
    async with within(), asking(url, **settings) as server:
        await server.complete(answer.completion, QUESTION, answer.write)
    return answer


async def trouble_with(url: str, answer: Answer | None = None, **settings: Any) -> Trouble:
    """Ask for an answer, which must not come, and give what was wrong."""
    answer = answer or Answer()
    async with within(), asking(url, **settings) as server:
        with pytest.raises(Trouble) as raised:
            await server.complete(answer.completion, QUESTION, answer.write)
    return raised.value


async def test_an_answer_comes_piece_by_piece_and_its_tokens_are_counted() -> None:
    async with ModelServer.running() as there:
        answer = await ask(there.url, brain_max_tokens=9, brain_temperature=0.5)
        assert answer.pieces == ["Hel", "lo!"]
        metadata = answer.completion.to_metadata()
        assert metadata.pop("first_token_ms") > 0
        assert metadata == {
            "model": "m",
            "finish_reason": "stop",
            "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
        }
        assert there.questions == [
            {
                "model": "m",
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}],
                "max_tokens": 9,
                "temperature": 0.5,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        ]


async def test_a_server_that_counts_no_tokens_will_do() -> None:
    async with ModelServer.running() as there:
        there.always = says("Hi.", usage=False)
        assert (await ask(there.url)).completion.usage is None


async def test_one_that_refuses_to_be_asked_for_tokens_is_not_asked_again() -> None:
    async def picky(reply: Reply, body: dict[str, Any]) -> None:
        act = fails(400, "unknown field stream_options") if "stream_options" in body else says("Hi.")
        await act(reply, body)

    async with ModelServer.running() as there, within(), asking(there.url) as server:
        there.always = picky
        for _ in range(2):
            answer = Answer()
            await server.complete(answer.completion, QUESTION, answer.write)
            assert answer.pieces == ["Hi."]
            assert answer.completion.attempts == 1
        assert ["stream_options" in question for question in there.questions] == [True, False, False]


async def test_what_a_model_thinks_aloud_is_not_shown_but_it_lives() -> None:
    async def thinks(reply: Reply, body: dict[str, Any]) -> None:
        reply.begin()
        await reply.event(chunk(reasoning_content="Hm."))
        await reply.line(": a comment\n\n")
        await reply.event(chunk("Yes."))
        await reply.event(chunk(finish_reason="length"))
        await reply.end()

    async with ModelServer.running() as there:
        there.always = thinks
        answer = await ask(there.url)
        assert (answer.pieces, answer.completion.finish_reason) == (["Yes."], "length")


@pytest.mark.promise("P-BRAIN-4")
async def test_the_key_goes_to_the_server_alone() -> None:
    async with ModelServer.running() as there, within(), asking(there.url, "s3cret") as server:
        assert await server.models() == ["m"]
        assert there.keys == {"Bearer s3cret"}
        there.always = fails(401, "the key s3cret is wrong")
        with pytest.raises(Trouble) as raised:
            await server.complete(Completion("m"), QUESTION, Answer().write)
        assert "s3cret" not in str(raised.value)


async def test_no_proxy_is_asked_for_a_server_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with ModelServer.running() as there:
        assert (await ask(there.url)).pieces == ["Hel", "lo!"]


# -- before the first token --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        fails(429, **SOON),
        fails(500, **SOON),
        fails(503, "Loading model", **SOON),
        breaks_off(),
        breaks_off(by=early_end),
        breaks_off(by=error_event),
        breaks_off(by=garbage),
    ],
    ids=["429", "500", "503", "cut", "early-end", "error-event", "garbage"],
)
async def test_what_passes_is_asked_again_as_long_as_nothing_was_shown(fault: Any) -> None:
    async with ModelServer.running() as there:
        there.script.extend([fault, fault])
        answer = await ask(there.url)
        assert (answer.pieces, answer.completion.attempts) == (["Hel", "lo!"], 3)
        assert answer.completion.usage is not None


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [(fails(500, "boom", **SOON), "failed", 500), (fails(429, **SOON), "busy", 429), (breaks_off(), "cut", None)],
    ids=["500", "429", "cut"],
)
async def test_what_does_not_pass_is_given_up(fault: Any, kind: str, status: int | None) -> None:
    async with ModelServer.running() as there:
        there.always = fault
        trouble = await trouble_with(there.url, brain_retries=2)
        assert (trouble.kind, trouble.status, len(there.questions)) == (kind, status, 3)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, "refused"), (403, "refused"), (404, "unknown"), (400, "rejected"), (422, "rejected")]
)
async def test_what_will_not_pass_is_asked_once(status: int, kind: str) -> None:
    async with ModelServer.running() as there:
        there.always = fails(status)
        trouble = await trouble_with(there.url)
        assert (trouble.kind, trouble.status, len(there.questions)) == (kind, status, 1)


async def test_a_server_that_wants_a_long_pause_is_left_alone() -> None:
    async with ModelServer.running() as there:
        there.always = fails(429, **{"Retry-After": "3600"})
        trouble = await trouble_with(there.url)
        assert len(there.questions) == 1
        assert "try again in 3600 s" in trouble.sentence


async def test_a_server_that_is_not_there() -> None:
    async with ModelServer.running() as there:
        url = there.url
    answer = Answer()
    trouble = await trouble_with(url, answer, brain_retries=1)
    assert (trouble.kind, answer.completion.attempts) == ("away", 2)
    assert "is it running?" in trouble.sentence


async def test_a_server_that_comes_back_in_time_is_found() -> None:
    async with ModelServer.running() as there:
        await there.stop()
        asked = asyncio.create_task(ask(there.url, brain_retries=20, brain_most_pause_s=0.3))
        await there.start()
        assert (await asked).pieces == ["Hel", "lo!"]


@pytest.mark.parametrize("before", [breaks_off(by=silence), None], ids=["after-its-head", "at-all"])
async def test_a_model_that_does_not_begin_is_not_waited_for_for_ever(before: Any) -> None:
    async def says_nothing(reply: Reply, body: dict[str, Any]) -> None:
        await reply.client_is_gone()

    async with ModelServer.running() as there:
        there.always = before or says_nothing
        trouble = await trouble_with(there.url, brain_first_token_s=0.2)
        assert trouble.kind == "silent"
        assert "did not begin to answer in 0.2 s" in trouble.sentence
        assert len(there.questions) == 1
        await eventually(lambda: there.cuts == 1)  # it was hung up


async def test_a_model_that_has_nothing_to_say() -> None:
    async with ModelServer.running() as there:
        there.always = says()
        assert (await trouble_with(there.url)).kind == "empty"


# -- after it ----------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-BRAIN-3")
@pytest.mark.parametrize(
    ("by", "kind"),
    [(None, "cut"), (early_end, "cut"), (garbage, "garbage"), (error_event, "failed"), (silence, "silent")],
)
async def test_once_something_was_shown_nothing_is_asked_again(
    by: Callable[[Reply], Awaitable[None]] | None, kind: str
) -> None:
    async with ModelServer.running() as there:
        there.script.append(breaks_off("Hel", by=by))
        answer = Answer()
        settings = {"brain_token_s": 0.2} if kind == "silent" else {}
        trouble = await trouble_with(there.url, answer, **settings)
        assert (trouble.kind, answer.pieces, len(there.questions)) == (kind, ["Hel"], 1)
        assert answer.completion.finish_reason is None


ODD: list[Any] = [
    *(7, "text", [], None, True, {}, {"choices": None}, {"choices": 7}, {"choices": {"0": 1}}, {"choices": [7]}),
    *({"choices": [None]}, {"choices": [{}]}, {"choices": [{"delta": 7}]}, {"choices": [{"delta": {"content": 7}}]}),
    *({"choices": [{"delta": {"content": "\ud83d"}}]}, {"choices": [{"delta": {}, "finish_reason": 7}]}),
    *({"usage": 7}, {"usage": {"prompt_tokens": "7"}}, {"choices": [], "usage": {"total_tokens": 10**30}}),
]


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
async def test_whatever_a_server_says_becomes_text_or_a_trouble(odd: Any) -> None:
    async def act(reply: Reply, body: dict[str, Any]) -> None:
        reply.begin()
        await reply.event(odd)
        await reply.event(chunk("Hi."))
        await reply.event(chunk(finish_reason="stop"))
        await reply.end()

    async with ModelServer.running() as there, within(), asking(there.url, brain_retries=0) as server:
        there.always = act
        answer = Answer()
        try:
            await server.complete(answer.completion, QUESTION, answer.write)
        except Trouble as trouble:
            assert trouble.kind == "garbage"  # noqa: PT017 - either will do
        else:
            assert "".join(answer.pieces).encode().decode().endswith("Hi.")
            json.dumps(answer.completion.to_metadata())


@pytest.mark.parametrize("bytes_", [b"data: \xff\xfe\n\n", b"\0\0\0", b"data: {\n\n", b"event: odd\n\n"], ids=repr)
async def test_bytes_that_are_no_events_are_a_trouble_too(bytes_: bytes) -> None:
    async def act(reply: Reply, body: dict[str, Any]) -> None:
        reply.begin()
        await reply.raw(bytes_)
        await reply.end()

    async with ModelServer.running() as there:
        there.always = act
        assert (await trouble_with(there.url, brain_retries=0)).kind in {"garbage", "cut"}


async def test_a_model_that_never_ends_is_ended() -> None:
    async def goes_on(reply: Reply, body: dict[str, Any]) -> None:
        reply.begin()
        while not reply.is_cut:
            await reply.event(chunk("a"))
            await asyncio.sleep(0.001)

    async with ModelServer.running() as there:
        there.always = goes_on
        answer = Answer()
        trouble = await trouble_with(there.url, answer, brain_total_s=1.5)
        assert (trouble.kind, bool(answer.pieces)) == ("late", True)
        await eventually(lambda: there.cuts == 1)


async def test_retries_end_with_the_time_for_all() -> None:
    async with ModelServer.running() as there:
        there.always = fails(500, **{"retry-after-ms": "20"})
        assert (await trouble_with(there.url, brain_retries=20, brain_total_s=0.1)).kind == "late"


async def test_who_is_cancelled_hangs_up() -> None:
    async with ModelServer.running() as there:
        there.always = breaks_off("Hel", by=silence)
        answer = Answer()
        task = asyncio.create_task(ask_into(answer, there.url))
        await eventually(lambda: answer.pieces)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: there.cuts == 1)


async def test_what_the_writer_raises_is_its_own_and_hangs_up() -> None:
    async def full(text: str) -> None:
        raise TimeoutError(text)

    async with ModelServer.running() as there, within(), asking(there.url) as server:
        there.always = breaks_off("Hel", by=silence)
        with pytest.raises(TimeoutError, match="Hel") as raised:
            await server.complete(Completion("m"), QUESTION, full)
        await eventually(lambda: there.cuts == 1)
        assert (len(there.questions), str(raised.value)) == (1, "Hel")


async def ask_into(answer: Answer, url: str) -> None:
    async with asking(url) as server:
        await server.complete(answer.completion, QUESTION, answer.write)


# -- models ------------------------------------------------------------------------------------------------------


async def test_models_are_named_in_the_servers_order() -> None:
    async with ModelServer.running() as there, within(), asking(there.url) as server:
        there.models = ["b", "a"]
        assert await server.models() == ["b", "a"]
        there.models = []
        assert await server.models() == []
        there.models = None  # as Ollama says it
        assert await server.models() == []


async def answers_json(body: Any) -> Callable[[Reply], Awaitable[None]]:
    async def act(reply: Reply) -> None:
        await reply.json(200, body)

    return act


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"data": "m"}, None),
        ([], None),
        ({"data": [{"id": 7}, {"id": "a"}, "odd", {"id": "\ud800"}, {"id": "x" * 999}, {"id": ""}]}, ["a"]),
        ("text", None),
    ],
)
async def test_odd_lists_of_models(body: Any, found: list[str] | None) -> None:
    async with ModelServer.running() as there, within(), asking(there.url) as server:
        there.models_act = await answers_json(body)
        if found is None:
            with pytest.raises(Trouble) as raised:
                await server.models()
            assert raised.value.kind == "garbage"
        else:
            assert await server.models() == found


async def test_a_page_that_is_no_api() -> None:
    async def page(reply: Reply) -> None:
        await reply.text(200, "<html>", **{"Content-Type": "text/html"})

    async with ModelServer.running() as there, within(), asking(there.url) as server:
        there.models_act = page
        with pytest.raises(Trouble) as raised:
            await server.models()
        assert raised.value.kind == "garbage"


async def test_a_server_that_is_silent_is_not_waited_for() -> None:
    async def says_nothing(reply: Reply) -> None:
        await reply.client_is_gone()

    async with ModelServer.running() as there, within(), asking(there.url, brain_look_s=0.1) as server:
        there.models_act = says_nothing
        with pytest.raises(Trouble, match=r"did not name its models within 0\.1 s") as raised:
            await server.models()
        assert raised.value.kind == "silent"
