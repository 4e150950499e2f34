"""Questions on a real nats-server: put through the API or the SDK, answered by agents, given up, or left unanswered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from daena_mesh import answering, answers, pulling
from daena_mesh.answers import Answers, answer_id
from daena_mesh.asks import Ask, Target, read_ask
from daena_mesh.connection import header_block
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import InvalidId, Unanswered
from daena_mesh.events import Event
from daena_mesh.jetstream import ApiReply, call
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import ASKS
from daena_mesh.stream_writer import StreamWriter
from mesh_api import forgotten
from mesh_api.consumers import config_of
from mesh_api.queued import remove
from mesh_api.settings import ApiSettings
from tests.support.api import Api, running_api
from tests.support.asks import answers_to, queue_is_empty
from tests.support.deadlines import eventually, within
from tests.support.meshes import mesh_at

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def meshes(url: str, count: int = 1) -> AsyncIterator[list[Mesh]]:
    """Run meshes that, as an agent's, provision nothing."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(mesh_at(url, provisions=False)) for _ in range(count)]


async def post(api: Api, path: str, message: str, *, wait_s: int = 20, **body: Any) -> dict[str, Any]:
    """Ask through REST, and wait for the answer."""
    response = await api.client.post(
        f"/api/v1/{path}", json={"message": message, **body}, headers={"Prefer": f"wait={wait_s}"}, timeout=40
    )
    assert response.status_code == 200
    assert response.headers["preference-applied"] == f"wait={wait_s}"
    return dict(response.json())


# -- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-ASK-1", "P-ASK-5")
@pytest.mark.parametrize(
    ("path", "target"),
    [("agents/a1/chat", "agent/a1"), ("departments/d1/chat", "department/d1"), ("daena/chat", "daena")],
)
async def test_an_agent_answers_and_whoever_waits_has_the_answer(shared_api: Api, path: str, target: str) -> None:
    api, seen = shared_api, []
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("a1") as agent:

        @agent.on_ask(target, sender="scout")
        async def answer(ask: Ask, out: StreamWriter) -> str:
            seen.append(ask)
            await out.write("Hel")
            return "lo"

        context = {"lines": [1, 2]}
        told = await post(api, path, "Who is there?", sender="ada", metadata={"page": 1}, context=context)
        assert told["response"] == "Hello"
        [ask] = seen
        assert (ask.session_id, ask.message_id) == (told["session_id"], told["message_id"])
        assert (ask.content, ask.sender, ask.context) == ("Who is there?", "ada", context)
        assert (ask.target.removesuffix("/vp"), ask.attempt, ask.metadata["page"]) == (target, 1, 1)
        question, reply = await api.mesh.chat(told["session_id"]).history()
        assert question.payload["message_id"] == told["message_id"]
        assert reply.payload == {
            "session_id": told["session_id"],
            "sender": "scout",
            "content": "Hello",
            "message_id": answer_id(told["session_id"], told["message_id"]),
            "metadata": {"in_reply_to": told["message_id"]},
        }
        await queue_is_empty(api.mesh, Target.parse(target).pattern)


async def test_who_does_not_wait_is_answered_at_once_and_reads_the_answer_as_an_event(shared_api: Api) -> None:
    api = shared_api
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("a2") as agent:
        go = asyncio.Event()

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            async with within(20):
                await go.wait()
            return "late"

        response = await api.client.post("/api/v1/agents/a2/chat", json={"message": "x"})
        told = response.json()
        assert told["response"] is None
        assert "preference-applied" not in response.headers
        go.set()
        [reply] = await eventually(lambda: answers_to(api.mesh, told["session_id"], told["message_id"]))
        assert reply.payload["content"] == "late"


async def test_who_waits_in_vain_has_no_answer(shared_api: Api) -> None:
    told = await post(shared_api, "agents/nobody/chat", "x", wait_s=0)
    assert told["response"] is None


@pytest.mark.promise("P-ASK-5")
async def test_the_sdk_asks_and_waits(shared_api: Api) -> None:
    api = shared_api
    async with meshes(api.mesh.settings.nats_url, 2) as [mesh, user], mesh.agent("a3", departments=["d3"]) as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> None:
            out.metadata["tokens"] = 3
            await out.write(f"{ask.target}: {ask.content}")

        for target in ("agent/a3", "department/d3"):
            given = await user.ask(target, "2 + 2", session_id="sdk", sender="ada", context={"n": 1})
            assert (given.text, given.sender, given.session_id) == (f"{target}: 2 + 2", "a3", "sdk")
            assert given.metadata["tokens"] == 3
        contents = [event.payload["sender"] for event in await user.chat("sdk").history()]
        assert contents == ["ada", "a3", "ada", "a3"]
        started = await user.ask("agent/a3", "where?")
        row = await eventually(lambda: api.context.projector.projection.row(started.session_id))
        assert row is not None
        session = msgspec.json.decode(row.session)
        assert (session["scope_type"], session["scope_id"]) == ("agent", "a3")


@pytest.mark.parametrize("target", ["", "scout", "agent", "agent/", "agent/*", "agent/a.b", "team/a", "daena/a b"])
async def test_whoever_cannot_be_asked_is_refused_before_anything_is_stored(shared_api: Api, target: str) -> None:
    with pytest.raises(InvalidId):
        await shared_api.mesh.ask(target, "x", session_id="refused")
    assert await shared_api.mesh.chat("refused").history() == []


async def test_what_answers_must_be_a_coroutine_function(shared_api: Api) -> None:
    async with meshes(shared_api.mesh.settings.nats_url) as [mesh], mesh.agent("a4") as agent:
        with pytest.raises(TypeError, match="coroutine function"):
            agent.on_ask(print)  # type: ignore[arg-type]
        with pytest.raises(InvalidId):
            agent.on_ask("agent/*")


async def test_nobody_answers_in_time(shared_api: Api) -> None:
    with pytest.raises(Unanswered, match=r"agent/away has not answered within 0\.1 s"):
        await shared_api.mesh.ask("agent/away", "x", wait_s=0.1)


@pytest.mark.promise("P-NATIVE-1")
async def test_a_question_put_by_any_client_is_answered(shared_api: Api) -> None:
    api = shared_api
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("a5") as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            return f"{ask.sender} said {ask.content}"

        publish = api.mesh.connection.publish
        publish("ask.agent.a5.me", b"no question")
        publish("ask.agent.a5.me", b'{"session_id": "a.b", "content": "x"}')
        publish("ask.agent.a5.me", b'{"session_id": "native", "content": "one"}')
        block = header_block({"Nats-Msg-Id": "m2"})
        publish("ask.agent.a5.me", b'{"session_id": "native", "content": "two", "sender": "cli"}', block)
        found = await eventually(lambda: _two(api, "native"))
        assert sorted(event.payload["content"] for event in found) == ["cli said two", "user said one"]
        assert "m2" in {event.payload["metadata"]["in_reply_to"] for event in found}
        await queue_is_empty(api.mesh, "ask.agent.a5.*")


async def _two(api: Api, session_id: str) -> list[Event]:
    found = await api.mesh.chat(session_id).history()
    return found if len(found) == 2 else []


# -- shared, bounded, stopped ---------------------------------------------------------------------------------------


@pytest.mark.promise("P-ASK-1")
async def test_two_agents_share_a_department(shared_api: Api) -> None:
    api, taken = shared_api, []
    async with meshes(api.mesh.settings.nats_url, 2) as both, AsyncExitStack() as stack:
        for name, mesh in zip(("left", "right"), both, strict=True):
            agent = await stack.enter_async_context(mesh.agent(name, concurrency=2))

            @agent.on_ask("department/shared")
            async def answer(ask: Ask, out: StreamWriter, name: str = name) -> str:
                taken.append((name, ask.content))
                async with within(20):
                    await eventually(lambda: len({who for who, _ in taken}) == 2)  # until both have something
                return name

        told = await asyncio.gather(*(post(api, "departments/shared/chat", str(i)) for i in range(20)))
        assert sorted(content for _, content in taken) == sorted(map(str, range(20)))
        assert {answer["response"] for answer in told} == {"left", "right"}


@pytest.mark.promise("P-ASK-6")
async def test_no_more_are_at_work_than_an_agent_wants(shared_api: Api) -> None:
    api, at_work, most, put = shared_api, 0, 0, set[str]()
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("few", concurrency=3) as agent:

        @agent.on_ask
        @agent.on_ask("department/few")
        async def answer(ask: Ask, out: StreamWriter) -> str:
            nonlocal at_work, most
            at_work += 1
            most = max(most, at_work)
            await eventually(lambda: most >= 3 and len(put) == 20, within_s=20)
            for _ in range(3):
                await mesh.connection.flush()  # whoever else is free has been given something by then
            at_work -= 1
            return "done"

        for path in ["agents/few/chat", "departments/few/chat"] * 10:
            told = await post(api, path, "x", wait_s=0)
            put.add(told["message_id"])
        for target in ("agent/few", "department/few"):
            await queue_is_empty(api.mesh, Target.parse(target).pattern)
        assert most == 3


async def test_who_answers_may_be_named_before_the_agent_is_there(shared_api: Api) -> None:
    async with meshes(shared_api.mesh.settings.nats_url) as [mesh]:
        agent = mesh.agent("planned")

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            return "as planned"

        async with agent:
            told = await post(shared_api, "agents/planned/chat", "x")
        assert told["response"] == "as planned"
        [_, reply] = await shared_api.mesh.chat(told["session_id"]).history()
        assert reply.subject == f"chat.{told['session_id']}.message.planned"


async def test_one_worker_serves_several_targets(shared_api: Api) -> None:
    api = shared_api
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("lone", concurrency=1) as agent:

        @agent.on_ask("agent/lone", "department/lone", "department/alone")
        async def answer(ask: Ask, out: StreamWriter) -> str:
            return ask.target

        for target in ("department/alone", "agent/lone", "department/lone"):
            kind, _, name = target.partition("/")
            assert (await post(api, f"{kind}s/{name}/chat", "x"))["response"] == target


@pytest.mark.promise("P-STREAM-4")
async def test_a_stop_ends_an_answer_for_good(shared_api: Api) -> None:
    api, attempts = shared_api, []
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("talker") as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> None:
            attempts.append(ask.attempt)
            await out.write("and so on")
            await asyncio.Event().wait()

        async with api.mesh.subscribe("chat.stopped.delta.*") as feed, within(20):
            asking = asyncio.create_task(post(api, "agents/talker/chat", "x", session_id="stopped"))
            await anext(feed)  # who is seen to write can be stopped
        await api.mesh.publish("chat.stopped.stop", {"session_id": "stopped"})
        assert (await asking)["response"] == "and so on"
        [question, reply] = await api.mesh.chat("stopped").history()
        assert reply.payload["metadata"]["in_reply_to"] == question.payload["message_id"]
        assert reply.payload["metadata"]["reason"] == "stopped"
        await queue_is_empty(api.mesh, "ask.agent.talker.*")
        assert attempts == [1]


# -- what fails -----------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-ASK-3")
async def test_what_fails_three_times_is_given_up_visibly(shared_api: Api) -> None:
    api, attempts = shared_api, []
    clock = asyncio.get_running_loop().time
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("broken") as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> None:
            attempts.append((ask.attempt, clock()))
            await out.write("I begin")
            raise LookupError("no such book")

        told = await post(api, "agents/broken/chat", "x")
        assert told["response"] is None
        assert [attempt for attempt, _ in attempts] == [1, 2, 3]
        pauses = [later - earlier for (_, earlier), (_, later) in pairwise(attempts)]
        assert pauses[0] >= 0.9
        assert pauses[1] >= 3.9
        [_, reply] = await api.mesh.chat(told["session_id"]).history()
        assert reply.payload["sender"] == "system"
        assert reply.payload["metadata"] == {
            "in_reply_to": told["message_id"],
            "given_up": True,
            "reason": "LookupError: no such book",
        }
        await queue_is_empty(api.mesh, "ask.agent.broken.*")
        assert agent.answers.figures.errors == 3


@pytest.mark.promise("P-ASK-3")
async def test_what_fails_once_is_answered_by_the_next_attempt(shared_api: Api) -> None:
    api = shared_api
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("moody") as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            await out.write("now: ")
            if ask.attempt == 1:
                raise RuntimeError("not yet")
            return "42"

        told = await post(api, "agents/moody/chat", "x")
        assert told["response"] == "now: 42"
        assert len(await answers_to(api.mesh, told["session_id"], told["message_id"])) == 1


async def test_an_answer_that_is_too_long_is_kept_as_far_as_it_fits(shared_api: Api) -> None:
    api, attempts = shared_api, []
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("verbose") as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            attempts.append(ask.attempt)
            return "x" * 100_000

        told = await post(api, "agents/verbose/chat", "x")
        assert 60_000 < len(told["response"]) < 65_536
        await queue_is_empty(api.mesh, "ask.agent.verbose.*")
        assert attempts == [1]


@pytest.mark.promise("P-ASK-7")
async def test_an_agent_that_leaves_returns_what_is_unfinished_at_once(shared_api: Api) -> None:
    api, attempts = shared_api, []
    async with meshes(api.mesh.settings.nats_url, 2) as [leaving, staying]:
        async with leaving.agent("leaving") as agent:

            @agent.on_ask("department/relay")
            async def hold(ask: Ask, out: StreamWriter) -> None:
                attempts.append(ask.attempt)
                await out.write("I will not end")
                await asyncio.Event().wait()

            asking = asyncio.create_task(post(api, "departments/relay/chat", "x"))
            await eventually(lambda: attempts)
        left = asyncio.get_running_loop().time()
        async with staying.agent("staying") as agent:

            @agent.on_ask("department/relay")
            async def answer(ask: Ask, out: StreamWriter) -> str:
                attempts.append(ask.attempt)
                return "I did"

            told = await asking
            assert asyncio.get_running_loop().time() - left < 9  # less than the lease would have lasted
        assert told["response"] == "I did"
        assert attempts == [1, 2]
        assert len(await answers_to(api.mesh, told["session_id"], told["message_id"])) == 1


@pytest.mark.promise("P-ASK-2")
async def test_what_comes_so_late_that_others_may_have_it_is_left_to_them(
    shared_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = shared_api
    await create(api, "agent-dull", **config_of(Target("agent", "dull")))
    monkeypatch.setattr(pulling, "ACK_WAIT_S", -600.0)
    puller = pulling.Puller(api.mesh.connection)
    await api.client.post("/api/v1/agents/dull/chat", json={"message": "x"})  # so that it is there when it is asked for
    assert await puller.pull("agent-dull", 0.5) is None
    monkeypatch.undo()
    # It was given out, and not returned.
    assert (await consumer_info(api, "agent-dull"))["num_ack_pending"] == 1
    assert await puller.pull("agent-dull", 0.5) is None
    await puller.close()


@pytest.mark.promise("P-ASK-7")
async def test_what_is_given_out_again_to_who_works_on_it_is_not_begun_again(shared_api: Api) -> None:
    """As after a cut that was longer than a lease, with nobody else there."""
    api, attempts, go = shared_api, [], asyncio.Event()
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("only") as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            attempts.append(ask.attempt)
            await go.wait()
            return "done"

        asking = asyncio.create_task(post(api, "agents/only/chat", "x"))
        await eventually(lambda: attempts)
        [job] = agent.answers._jobs
        job.is_lost = True
        mesh.connection.publish(job.delivery.ack_subject, b"-NAK")
        await eventually(lambda: job.delivery.taken.attempt == 2)
        assert not job.is_lost
        go.set()
        assert (await asking)["response"] == "done"
        assert attempts == [1]


# -- nobody answers -------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-ASK-4")
async def test_a_question_that_nobody_answers_gets_one_message_from_system(nats_server: NatsServer) -> None:
    settings = ApiSettings(nats_url=nats_server.url, ask_timeout_s=0.5)
    async with (
        running_api(nats_server.url, settings=settings) as one,
        running_api(nats_server.url, settings=settings) as two,
    ):
        told = await asyncio.gather(*(post(api, "agents/gone/chat", "x", wait_s=30) for api in (one, two) * 5))
        assert [answer["response"] for answer in told] == [None] * 10
        await queue_is_empty(one.mesh)
        for answer in told:
            [reply] = await answers_to(one.mesh, answer["session_id"], answer["message_id"])
            assert reply.payload["sender"] == "system"
            assert reply.payload["metadata"] == {"in_reply_to": answer["message_id"], "unanswered": True}
        assert one.context.unanswered.ended + two.context.unanswered.ended == 10


@pytest.mark.promise("P-ASK-4")
async def test_what_somebody_is_answering_is_not_ended(shared_nats: NatsServer) -> None:
    settings = ApiSettings(nats_url=shared_nats.url, ask_timeout_s=1.0)
    async with (
        running_api(shared_nats.url, settings=settings) as api,
        meshes(shared_nats.url) as [mesh],
        mesh.agent("slow") as agent,
    ):

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            # Until others that were put later have been ended.
            for _ in range(2):
                with pytest.raises(Unanswered):
                    await mesh.ask("agent/nowhere", "x", wait_s=20)
            return "slowly"

        async def waits() -> bool:
            return bool((await consumer_info(api, "agent-slow")).get("num_waiting"))

        await eventually(waits)  # so that the question is begun long before its time is over
        told = await post(api, "agents/slow/chat", "x")
        assert told["response"] == "slowly"
        assert len(await answers_to(api.mesh, told["session_id"], told["message_id"])) == 1


@pytest.mark.promise("P-ASK-4")
async def test_an_answer_older_than_the_streams_window_is_found(shared_nats: NatsServer) -> None:
    """An agent answered and died; when the API is back the answer's id is forgotten, but the answer is in the log."""
    settings = ApiSettings(nats_url=shared_nats.url, ask_timeout_s=0.5)
    async with running_api(shared_nats.url) as api:
        response = await api.client.post("/api/v1/agents/dead/chat", json={"message": "x"})
        told = response.json()
        chat = api.mesh.chat(told["session_id"])
        # Under another `Nats-Msg-Id` than an answer has, as if that were forgotten.
        await chat.send("yes", sender="dead", metadata={"in_reply_to": told["message_id"]})
    async with running_api(shared_nats.url, settings=settings) as api:
        await queue_is_empty(api.mesh)
        [reply] = await answers_to(api.mesh, told["session_id"], told["message_id"])
        assert reply.payload["content"] == "yes"


@pytest.mark.promise("P-ASK-2")
@pytest.mark.parametrize("asked", ["by REST", "by the SDK"])
async def test_an_answer_is_found_behind_its_question_whatever_the_clocks_say(shared_api: Api, asked: str) -> None:
    mesh, target = shared_api.mesh, Target.parse("agent/odd")
    if asked == "by REST":
        await shared_api.client.post("/api/v1/agents/odd/chat", json={"message": "x"})
    else:
        with pytest.raises(Unanswered):
            await mesh.ask("agent/odd", "x", wait_s=0.1)
    [question] = (await mesh.log.batch(ASKS, target.pattern, 0)).messages
    ask = read_ask(question)
    never = datetime.now(UTC) + timedelta(hours=1)
    assert await Answers(mesh).find(ask, never) is None
    chat = mesh.chat(ask.session_id)
    answered = await chat.send("yes", sender="odd", metadata={"in_reply_to": ask.message_id})
    found = await Answers(mesh).find(ask, never)
    assert found is not None
    assert found.cursor == answered.cursor
    # A position that is none in this log, or behind the whole session, tells nothing: the time does.
    for cursor in ("", "Rother-1", answered.cursor + "0", "Rk3f"):
        assert await Answers(mesh).find(replace(ask, cursor=cursor), never) is None, cursor
        assert await Answers(mesh).find(replace(ask, cursor=cursor), never - timedelta(hours=2)) is not None, cursor
    await remove(mesh.connection, question.seq)


@pytest.mark.promise("P-ASK-2")
async def test_a_late_answer_is_not_stored_beside_an_older_one(
    shared_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the question were so old that the stream had forgotten the id of the answer that another gave."""
    api, took, go = shared_api, asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(answers, "LOOK_AFTER_S", -600.0)
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("late") as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            took.set()
            await go.wait()
            return "again"

        response = await api.client.post("/api/v1/agents/late/chat", json={"message": "x"})
        told = response.json()
        async with within(20):
            await took.wait()
        chat = api.mesh.chat(told["session_id"])
        await chat.send("first", sender="other", metadata={"in_reply_to": told["message_id"]})
        go.set()
        await queue_is_empty(api.mesh, "ask.agent.late.*")
        [reply] = await answers_to(api.mesh, told["session_id"], told["message_id"])
        assert reply.payload["content"] == "first"


@pytest.mark.promise("P-ASK-2")
async def test_who_died_after_the_answer_was_stored_is_not_followed_by_another_attempt(
    shared_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is told nothing of the answer, and gives the question out again."""
    api, attempts = shared_api, []
    monkeypatch.setattr(answering, "ACK", b"-NAK")
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("forgetful") as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            attempts.append(ask.attempt)
            return "once"

        told = await post(api, "agents/forgetful/chat", "x")
        assert told["response"] == "once"
        await eventually(lambda: agent.answers.figures.requests >= 2)
        monkeypatch.undo()
        assert attempts == [1]


async def test_a_question_in_a_deleted_session_goes_without_a_word(shared_nats: NatsServer) -> None:
    settings = ApiSettings(nats_url=shared_nats.url, ask_timeout_s=0.5)
    async with running_api(shared_nats.url, settings=settings) as api:
        created = await api.client.post("/api/v1/chat-history/sessions", json={"title": "x"})
        session_id = created.json()["session_id"]
        await api.client.post("/api/v1/agents/gone/chat", json={"message": "x", "session_id": session_id})
        await api.client.delete(f"/api/v1/chat-history/sessions/{session_id}")
        await queue_is_empty(api.mesh)
        assert await api.mesh.chat(session_id).history() == []


# -- consumers ------------------------------------------------------------------------------------------------------


async def consumer_info(api: Api, name: str) -> dict[str, Any]:
    reply = await api.mesh.connection.request(f"$JS.API.CONSUMER.INFO.{ASKS}.{name}", b"", timeout_s=2)
    return dict(json.loads(reply.body))


async def consumer(api: Api, name: str) -> dict[str, Any]:
    return dict((await consumer_info(api, name)).get("config") or {})


async def create(api: Api, consumer_name: str, **config: Any) -> None:
    config = {"durable_name": consumer_name, "ack_policy": "explicit", **config, "name": consumer_name}
    subject = f"$JS.API.CONSUMER.CREATE.{ASKS}.{consumer_name}.{config['filter_subject']}"
    body = json.dumps({"stream_name": ASKS, "config": config}).encode()
    reply = await api.mesh.connection.request(subject, body, timeout_s=2)
    assert "error" not in json.loads(reply.body)


@pytest.mark.promise("P-ASK-8")
async def test_an_older_consumer_is_upgraded_and_a_removed_one_made_again(shared_nats: NatsServer) -> None:
    async with running_api(shared_nats.url) as api, meshes(shared_nats.url) as [mesh]:
        await create(api, "agent-old", filter_subject="ask.agent.old.api", max_deliver=7, ack_wait=60 * 10**9)
        await create(api, "department-old", filter_subject="ask.department.old.*", deliver_subject="pushed.to.somebody")
        async with mesh.agent("old", departments=["old"]) as agent:

            @agent.on_ask
            async def answer(ask: Ask, out: StreamWriter) -> str:
                return "yes"

            for name, pattern in (("agent-old", "ask.agent.old.*"), ("department-old", "ask.department.old.*")):

                async def upgraded(name: str = name) -> dict[str, Any] | None:
                    config = await consumer(api, name)
                    return config if config.get("max_deliver") == 3 else None

                config = await eventually(upgraded)
                assert config is not None
                assert (config["filter_subject"], config["ack_wait"]) == (pattern, 6 * 10**9)
                assert "deliver_subject" not in config
            assert (await post(api, "agents/old/chat", "x"))["response"] == "yes"
            await api.mesh.connection.request(f"$JS.API.CONSUMER.DELETE.{ASKS}.agent-old", b"", timeout_s=2)
            assert (await post(api, "agents/old/chat", "x"))["response"] == "yes"


@pytest.mark.promise("P-ASK-8")
async def test_an_agent_that_was_there_before_the_api_is_served(nats_server: NatsServer) -> None:
    async with running_api(nats_server.url):
        pass  # the streams are there
    async with meshes(nats_server.url) as [mesh], mesh.agent("early") as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            return "I was first"

        async with running_api(nats_server.url) as api:
            assert (await post(api, "agents/early/chat", "x"))["response"] == "I was first"


async def test_a_status_alone_is_enough_for_a_consumer(shared_api: Api) -> None:
    publish = shared_api.mesh.connection.publish
    publish("agent.cli.status", b'{"status": "online", "serves": ["agent/cli", "*", "agent/*"]}')
    publish("agent.cli.status", b'{"status": "online", "serves": 5}')
    assert await eventually(lambda: consumer(shared_api, "agent-cli"))


@pytest.mark.promise("P-ASK-9")
async def test_what_the_queue_has_forgotten_is_put_again_once(
    shared_api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when a cluster loses a consumer's leader: its floor lies behind a question that nobody was given."""
    monkeypatch.setattr(forgotten, "ACK_WAIT_S", 0.2)
    api, target = shared_api, Target("agent", "a9")
    connection, create = api.mesh.connection, f"CONSUMER.CREATE.{ASKS}.{target.consumer}.{target.pattern}"
    await call(connection, create, {"stream_name": ASKS, "config": config_of(target)}, ApiReply)
    asked = [(await api.client.post("/api/v1/agents/a9/chat", json={"message": text})).json() for text in "12"]
    *_, newest = (await api.mesh.log.batch(ASKS, target.pattern, 0)).messages
    reset = await call(connection, f"CONSUMER.RESET.{ASKS}.{target.consumer}", {"seq": newest.seq}, ApiReply)
    assert reset.error is None
    heard = []
    async with meshes(api.mesh.settings.nats_url) as [mesh], mesh.agent("a9") as agent:

        @agent.on_ask
        async def answer(ask: Ask, out: StreamWriter) -> str:
            heard.append((ask.content, ask.cursor))
            return ask.content

        first, second = [(told["session_id"], told["message_id"]) for told in asked]
        await eventually(lambda: answers_to(api.mesh, *second))
        await eventually(lambda: answers_to(api.mesh, *first), within_s=40)
        await queue_is_empty(api.mesh, target.pattern)
    assert heard == [("2", asked[1]["cursor"]), ("1", asked[0]["cursor"])]
    assert caplog.text.count("is put again") == 1
