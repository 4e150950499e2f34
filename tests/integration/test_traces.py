"""One trace across processes: from a request through NATS to an agent, and with its answer to an edge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.answering_process import AnsweringProcess
from tests.support.collector import Collector, Span
from tests.support.deadlines import eventually
from tests.support.edge_command import edge_command
from tests.support.running_mesh import RunningMesh

pytestmark = pytest.mark.timeout(120)

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
REQUEST = "POST /api/v1/agents/{agent_id}/chat"
CALL = {"traceparent": f"00-{TRACE}-{CALLER}-01", "Prefer": "wait=20"}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as collector:
        for name, value in collector.variables().items():
            monkeypatch.setenv(name, value)  # for the processes that are started; nothing in this one makes spans
        yield collector


async def test_one_trace_leads_from_the_caller_to_the_sockets(collector: Collector, tmp_path: Path) -> None:
    async with (
        RunningMesh(tmp_path / "mesh", **collector.variables()) as mesh,
        AnsweringProcess(mesh.nats_url, "scout"),
        edge_command(mesh.nats_url, folder=tmp_path) as edge,
        edge.connect("/ws/chat/traced") as client,
        httpx.AsyncClient(base_url=mesh.url, timeout=30) as http,
    ):
        body = {"message": "How are you?", "session_id": "traced", "sender": "ada"}
        answer = await http.post("/api/v1/agents/scout/chat", json=body, headers=CALL)
        assert answer.json()["response"] is not None
        contents = [(await client.next("chat.message"))["payload"]["sender"] for _ in range(2)]
        assert contents == ["ada", "scout"]

        def named(name: str) -> list[Span]:
            return [span for span in collector.spans if span.name == name and span.trace_id == TRACE]

        def is_whole() -> bool:
            at_edge = [span for span in named("deliver chat.message") if span.service == "mesh-edge"]
            return len(at_edge) >= 2 and bool(named("answer ask") and named(REQUEST))

        await eventually(is_whole, within_s=20)
        (request,), (asked,), (answered,) = named(REQUEST), named("store ask"), named("answer ask")
        assert request.parent_id == CALLER
        assert asked.parent_id == request.span_id
        assert answered.parent_id == asked.span_id
        stored = {span.parent_id: span for span in named("store chat.message")}
        assert stored.keys() == {request.span_id, answered.span_id}
        delivered = {span.parent_id for span in named("deliver chat.message")}
        assert delivered == {span.span_id for span in stored.values()}
        assert len({span.service for span in (request, answered)}) == 2
        # What the log tells of it.
        events = (await http.get("/api/v1/events", params={"subject": "chat.traced.>"})).json()["events"]
        traces = {event["traceparent"].split("-")[1] for event in events if event["event_type"] == "chat.message"}
        assert traces == {TRACE}


async def test_without_spans_the_callers_trace_is_handed_on(tmp_path: Path) -> None:
    async with (
        RunningMesh(tmp_path / "mesh") as mesh,
        AnsweringProcess(mesh.nats_url, "scout"),
        httpx.AsyncClient(base_url=mesh.url, timeout=30) as http,
    ):
        for headers in (CALL, {"traceparent": f"00-{TRACE}-{CALLER}", "Prefer": "wait=20"}):
            session = f"s{len(headers['traceparent'])}"
            body = {"message": "How are you?", "session_id": session, "sender": "ada"}
            (await http.post("/api/v1/agents/scout/chat", json=body, headers=headers)).raise_for_status()
            events = (await http.get("/api/v1/events", params={"subject": f"chat.{session}.message.>"})).json()
            more = (await http.get("/api/v1/events", params={"subject": f"chat.{session}.message"})).json()
            told = [event.get("traceparent") for event in events["events"] + more["events"]]
            assert told == [headers["traceparent"] if headers is CALL else None] * 2
