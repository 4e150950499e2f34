"""A brain between the mesh and a server of models: what it answers, and what it says of the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from daena_mesh.embedded import NatsServer
from daena_mesh.errors import MeshUnavailable
from daena_mesh.feed import Feed
from daena_mesh.ids import uuid7
from daena_mesh.mesh import Mesh
from mesh_brain.answer import Answerer
from tests.support.asking import Question, answer, answering, ask, first_words
from tests.support.deadlines import eventually, within
from tests.support.meshes import events, mesh_at, running
from tests.support.model_server import ModelServer, Reply, breaks_off, fails, says, silence
from tests.support.proxy import NatsProxy


@asynccontextmanager
async def brain(nats_url: str, **settings: Any) -> AsyncIterator[tuple[Mesh, ModelServer, Answerer]]:
    """Run a mesh, a server of models, and what answers."""
    async with (
        within(30),
        running(nats_url) as mesh,
        ModelServer.running() as there,
        answering(mesh, there.url, **settings) as answerer,
    ):
        yield mesh, there, answerer


# -- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-BRAIN-1")
async def test_an_answer_is_streamed_with_the_history_as_context(nats_server: NatsServer) -> None:
    async with brain(nats_server.url, brain_system_prompt="Be brief.") as (mesh, there, answerer):
        async with mesh.subscribe("chat.s1.delta", "chat.s1.delta.*") as deltas:
            first = await answer(answerer, mesh, await ask(mesh, "Hi."))
            delta = await first_words(deltas)
        assert first.payload["content"] == "Hello!"
        assert delta.payload["message_id"] == first.payload["message_id"]
        assert delta.payload["text"].startswith("Hel")
        metadata = first.payload["metadata"]
        assert metadata["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
        assert (metadata["model"], metadata["brain"], metadata["finish_reason"]) == ("m", "main", "stop")
        assert "incomplete" not in metadata
        await answer(answerer, mesh, await ask(mesh, "And now?", context={"page": 7}))
        assert there.questions[-1]["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi."},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": 'And now?\n\nContext: {"page":7}'},
        ]


async def test_history_is_of_the_session_and_bounded(nats_server: NatsServer) -> None:
    async with brain(nats_server.url, brain_history_messages=3, brain_system_prompt="") as (mesh, there, answerer):
        await mesh.chat("other").send("Elsewhere.", sender="user")
        for number in range(30):
            await mesh.chat("s1").send(f"{number}", sender=("user", "daena")[number % 2])
        await answer(answerer, mesh, await ask(mesh, "And now?"))
        # The model does not speak first, so its 29 went with the 28 before it.
        assert [m["content"] for m in there.questions[-1]["messages"]] == ["28", "29", "And now?"]


async def test_a_question_that_is_not_in_the_log_is_asked_all_the_same(nats_server: NatsServer) -> None:
    async with brain(nats_server.url) as (mesh, there, answerer):
        await answer(answerer, mesh, Question(message_id=uuid7(), content="Hi."))
        assert there.questions[-1]["messages"][-1]["content"] == "Hi."


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        (fails(401), "refused", "refuses the key (401)"),
        (fails(404), "unknown", "has no model 'm'"),
        (fails(429, **{"retry-after-ms": "1"}), "busy", "is asked too often (429)"),
        (fails(500, **{"retry-after-ms": "1"}), "failed", "failed (500)"),
        (breaks_off(), "cut", "broke the connection off"),
        (breaks_off(by=silence), "silent", "did not begin to answer"),
    ],
    ids=["401", "404", "429", "500", "cut", "silence"],
)
@pytest.mark.promise("P-BRAIN-1")
async def test_why_there_is_no_answer_is_said_in_the_chat(
    shared_nats: NatsServer, fault: Any, kind: str, sentence: str
) -> None:
    session_id = uuid7()
    settings = {"brain_first_token_s": 0.2} if kind == "silent" else {}
    async with brain(shared_nats.url, **settings) as (mesh, there, answerer):
        there.always = fault
        event = await answer(answerer, mesh, await ask(mesh, "Hi.", session_id=session_id))
        assert sentence in event.payload["content"]
        problem = event.payload["metadata"]["problem"]
        assert (problem["kind"], problem["sentence"]) == (kind, event.payload["content"])
        assert "incomplete" not in event.payload["metadata"]  # the sentence is whole
        there.always = says("Hello!")
        await answer(answerer, mesh, await ask(mesh, "Again?", session_id=session_id))
        assert there.questions[-1]["messages"][1:] == [{"role": "user", "content": "Hi.\n\nAgain?"}]


async def test_without_a_model_that_is_said(nats_server: NatsServer) -> None:
    async with brain(nats_server.url, brain_retries=1) as (mesh, there, answerer):
        there.models = []
        event = await answer(answerer, mesh, await ask(mesh, "Hi."))
        assert event.payload["content"] == f"The model's server at {there.url} has no model."
        assert event.payload["metadata"]["problem"]["kind"] == "no-model"
        there.models = ["late"]
        event = await answer(answerer, mesh, await ask(mesh, "Now?"))
        assert (event.payload["content"], there.questions[-1]["model"]) == ("Hello!", "late")


async def test_a_server_that_never_named_its_models_is_said_to_be_what_it_is(nats_server: NatsServer) -> None:
    async def refuses(reply: Reply) -> None:
        await reply.json(401, {})

    async with brain(nats_server.url) as (mesh, there, answerer):
        there.models_act = refuses
        event = await answer(answerer, mesh, await ask(mesh, "Hi."))
        assert event.payload["metadata"]["problem"] == {
            "kind": "refused",
            "sentence": event.payload["content"],
            "status": 401,
        }
        await there.stop()
        event = await answer(answerer, mesh, await ask(mesh, "Hi?"))
        assert "cannot be reached: is it running?" in event.payload["content"]


async def test_while_the_server_is_away_the_model_of_before_is_asked_for_until_it_is_back(
    nats_server: NatsServer,
) -> None:
    settings = {"brain_retries": 20, "brain_most_pause_s": 0.3}
    async with brain(nats_server.url, **settings) as (mesh, there, answerer):
        await answerer.watch.look()
        await there.stop()
        await answerer.watch.look()
        asked = asyncio.create_task(answer(answerer, mesh, await ask(mesh, "Hi.")))
        await eventually(lambda: answerer.answering)
        await there.start()
        assert (await asked).payload["metadata"]["model"] == "m"


@pytest.mark.promise("P-BRAIN-3")
async def test_what_was_shown_stays_and_is_marked_where_the_server_breaks_off(nats_server: NatsServer) -> None:
    async with brain(nats_server.url) as (mesh, there, answerer):
        there.script.append(breaks_off("The answer ", "is"))
        event = await answer(answerer, mesh, await ask(mesh, "Hi."))
        sentence = event.payload["metadata"]["problem"]["sentence"]
        assert event.payload["content"] == f"The answer is\n\n{sentence}"
        assert (event.payload["metadata"]["incomplete"], event.payload["metadata"]["reason"]) == (True, "failed")
        assert len(there.questions) == 1
        await answer(answerer, mesh, await ask(mesh, "Go on."))
        assert there.questions[-1]["messages"][2] == {"role": "assistant", "content": "The answer is"}


async def test_a_stop_ends_the_answer_and_hangs_up(nats_server: NatsServer) -> None:
    async with brain(nats_server.url) as (mesh, there, answerer):
        there.always = breaks_off("Hel", by=silence)
        async with mesh.subscribe("chat.s1.delta", "chat.s1.delta.*") as deltas:
            asked = asyncio.create_task(answer(answerer, mesh, await ask(mesh, "Hi.")))
            await first_words(deltas)
            assert answerer.answering == 1
            await mesh.publish("chat.s1.stop", {"session_id": "s1"})
            event = await asked
        assert event.payload["content"] == "Hel"
        assert (event.payload["metadata"]["reason"], event.payload["metadata"]["model"]) == ("stopped", "m")
        assert answerer.answering == 0
        await eventually(lambda: there.cuts == 1)


async def test_an_answer_too_long_for_an_event_is_cut(nats_server: NatsServer) -> None:
    async with brain(nats_server.url) as (mesh, there, answerer):
        there.always = says(*(["word " * 40] * 500))
        event = await answer(answerer, mesh, await ask(mesh, "Hi."))
        assert 60_000 < len(event.payload["content"]) < 65_536
        metadata = event.payload["metadata"]
        assert "reserved" not in metadata
        assert (metadata["incomplete"], metadata["reason"], metadata["problem"]["kind"]) == (True, "failed", "long")


async def test_without_its_history_an_answer_is_not_begun(nats_server: NatsServer) -> None:
    async with (
        within(),
        running(nats_server.url),
        NatsProxy.running(nats_server.port) as proxy,
        ModelServer.running() as there,
        mesh_at(proxy.url) as mesh,
        answering(mesh, there.url) as answerer,
    ):
        question = await ask(mesh, "Hi.")
        mesh.wait_s = 0.2  # from now on: to connect it has all the time it needs
        proxy.freeze()
        with pytest.raises(MeshUnavailable):
            await answerer.answer(question, Paper())
        assert (there.questions, answerer.answering) == ([], 0)


class Paper:
    """Somewhere to write that is no chat."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}
        self.text = ""

    async def write(self, text: str) -> None:
        self.text += text


# -- the state of the server -------------------------------------------------------------------------------------


@asynccontextmanager
async def watching(answerer: Answerer) -> AsyncIterator[None]:
    """Watch the server for a block."""
    task = asyncio.create_task(answerer.watch.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def told(feed: Feed) -> dict[str, Any]:
    """Give the next state."""
    (event,) = await events(feed, 1)
    assert (event.subject, event.payload["brain_id"]) == ("brain.main.status", "main")
    status: dict[str, Any] = event.payload["status"]
    return status


@pytest.mark.promise("P-BRAIN-2")
async def test_what_changes_is_told_at_once(nats_server: NatsServer) -> None:
    async with brain(nats_server.url) as (mesh, there, answerer), mesh.subscribe("brain.>") as feed:
        async with watching(answerer):
            status = await told(feed)
            assert status.pop("latency_ms") > 0
            assert status == {"state": "online", "model": "m", "models": ["m"], "server": there.url}
            there.models = ["m", "n"]
            assert (await told(feed))["models"] == ["m", "n"]
            await there.stop()
            status = await told(feed)
            assert status["state"] == "offline"
            assert "cannot be reached" in status["reason"]
            await there.start()
            assert (await told(feed))["state"] == "online"
            there.models = []
            assert (await told(feed))["state"] == "degraded"

            async def refuses(reply: Reply) -> None:
                await reply.json(401, {})

            there.models_act = refuses
            assert "OPENAI_API_KEY" in (await told(feed))["reason"]
        await answerer.watch.stopped()
        status = await told(feed)
        assert (status["state"], status["reason"]) == ("offline", "the brain was stopped")


@pytest.mark.promise("P-BRAIN-2")
async def test_what_stays_the_same_is_told_now_and_then(nats_server: NatsServer) -> None:
    async with brain(nats_server.url, brain_report_s=0.2) as (mesh, there, answerer), mesh.subscribe("brain.>") as feed:
        async with watching(answerer):
            statuses = [await told(feed) for _ in range(3)]
        assert [status["state"] for status in statuses] == ["online"] * 3
        assert there.looks > 6  # most looks told nothing


async def test_what_an_answer_finds_is_looked_into_at_once(nats_server: NatsServer) -> None:
    settings = {"brain_watch_s": 3_600.0, "brain_retries": 0}
    async with (
        brain(nats_server.url, **settings) as (mesh, there, answerer),
        mesh.subscribe("brain.>") as feed,
        watching(answerer),
    ):
        assert (await told(feed))["state"] == "online"
        await there.stop()
        await answer(answerer, mesh, await ask(mesh, "Hi."))
        assert (await told(feed))["state"] == "offline"


async def test_a_server_without_a_list_will_do_where_the_model_is_named(nats_server: NatsServer) -> None:
    async def unknown(reply: Reply) -> None:
        await reply.json(404, {})

    async with brain(nats_server.url, brain_model="x") as (_, there, answerer):
        there.models_act = unknown
        await answerer.watch.look()
        assert answerer.watch.health is not None
        assert (answerer.watch.health.state, answerer.watch.health.model) == ("online", "x")


async def test_a_kept_connection_that_was_closed_is_no_news(nats_server: NatsServer) -> None:
    async with brain(nats_server.url) as (_, there, answerer):
        cuts = [True, False]

        async def cut(reply: Reply) -> None:
            if cuts.pop(0):
                reply.cut()
            else:
                await reply.json(200, {"data": [{"id": "m"}]})

        there.models_act = cut
        await answerer.watch.look()
        assert answerer.watch.health is not None
        assert answerer.watch.health.state == "online"


async def test_while_nats_is_away_only_changes_are_kept_for_later(nats_server: NatsServer) -> None:
    async with (
        within(),
        running(nats_server.url) as other,
        other.subscribe("brain.>") as feed,
        NatsProxy.running(nats_server.port) as proxy,
        ModelServer.running() as there,
        mesh_at(proxy.url) as mesh,
        answering(mesh, there.url, brain_report_s=0.001) as answerer,
    ):
        await answerer.watch.look()
        assert (await told(feed))["state"] == "online"
        proxy.freeze()
        await eventually(lambda: mesh.connection.state != "connected")
        for _ in range(20):
            await answerer.watch.look()
        there.models = ["n"]
        await answerer.watch.look()
        proxy.cut()
        assert (await told(feed))["model"] == "n"
