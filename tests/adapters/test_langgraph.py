from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph

from daena_mesh import Mesh
from daena_mesh.adapters.langgraph import follow
from daena_mesh.testing import Recorder

QUESTION = {"messages": [HumanMessage("What is up?")]}
SEARCHING = {"state": "custom", "searching": "docs"}


def graph(custom: Any = None, recorder: Recorder | None = None, told: dict[str, Any] = SEARCHING) -> Any:
    """Give a graph that plans and answers, or fails; with a recorder each step waits until it was told of.

    What comes quickly one after the other is told as the last of it. ``told`` is how the custom chunk is.
    """
    model = GenericFakeChatModel(messages=iter([AIMessage("Hello big world")]))

    async def is_told(**activity: Any) -> None:
        if recorder is not None:
            await recorder.expect("agent.activity", agent_id="scout", activity=activity)

    async def plan(state: MessagesState) -> dict[str, Any]:
        await is_told(state="plan")
        get_stream_writer()({"searching": "docs"} if custom is None else custom)
        await is_told(**told)
        return {}

    async def answer(state: MessagesState) -> dict[str, Any]:
        await is_told(state="answer")
        return {"messages": [await model.ainvoke(state["messages"])]}

    def fail(state: MessagesState) -> dict[str, Any]:
        raise ValueError("no such place")

    builder = StateGraph(MessagesState)
    builder.add_node(plan)
    builder.add_node(answer)
    builder.add_node(fail)
    builder.add_edge(START, "plan")
    builder.add_conditional_edges("plan", lambda _: "fail" if custom == "fail" else "answer")
    builder.add_edge("answer", END)
    return builder.compile()


MODES = ["tasks", "messages", "custom", "values"]


@pytest.mark.promise("P-ADAPTERS-1")
@pytest.mark.parametrize("options", [{}, {"subgraphs": True}, {"version": "v2"}])
async def test_a_graph_is_told_of_as_it_runs(working: Any, recorder: Recorder, options: dict[str, Any]) -> None:
    stream = graph(recorder=recorder).astream(QUESTION, stream_mode=MODES, **options)
    items = [item async for item in follow(stream, working.agent, task=working.task, out=working.out)]
    last = items[-1]["data"] if isinstance(items[-1], dict) else items[-1][-1]
    assert last["messages"][-1].content == "Hello big world"
    assert working.out.text == "Hello big world"
    assert working.task.progress.done == 2
    assert working.task.progress.note == "answer"
    await recorder.expect("task.update", task_id="t1", progress={"done": 2, "note": "answer"})
    await recorder.expect("chat.delta", session_id="s1", sender="scout")


async def test_updates_do_where_tasks_are_not_asked_for(working: Any, recorder: Recorder) -> None:
    stream = graph().astream(QUESTION, stream_mode=["updates", "messages"])
    modes = [mode async for mode, _ in follow(stream, working.agent, task=working.task, out=working.out)]
    assert set(modes) == {"updates", "messages"}
    assert working.task.progress.done == 2
    await recorder.expect("agent.activity", activity={"state": "answer"})


async def test_the_words_of_other_nodes_are_left_out(working: Any) -> None:
    stream = graph().astream(QUESTION, stream_mode=MODES)
    async for _ in follow(stream, working.agent, out=working.out, nodes=["plan"]):
        pass
    assert working.out.text == ""


async def test_a_node_that_fails_is_told_and_raises(working: Any, recorder: Recorder) -> None:
    stream = graph("fail").astream(QUESTION, stream_mode=MODES)
    with pytest.raises(ValueError, match="no such place"):
        async for _ in follow(stream, working.agent, task=working.task):
            pass
    await recorder.expect("agent.activity", activity={"state": "fail"})
    assert working.task.progress.done == 1


async def test_what_is_no_json_is_told_as_python_shows_it(working: Any, recorder: Recorder) -> None:
    told = {"state": "{'state': 'custom', 'found': {<class 'object'>}}"}
    stream = graph({"found": {object}}, recorder, told).astream(QUESTION, stream_mode=MODES)
    async for _ in follow(stream, working.agent):
        pass
    event = await recorder.expect("agent.activity", activity=told)
    assert event.subject == "agent.scout.activity"


async def test_a_stream_of_one_mode_is_refused(working: Any) -> None:
    with pytest.raises(TypeError, match="a list of modes"):
        async for _ in follow(graph().astream(QUESTION, stream_mode="values"), working.agent):
            pass


async def test_what_the_document_shows_runs(mesh: Mesh, recorder: Recorder, shown: Callable[[str], Any]) -> None:
    async with mesh.agent("scout") as agent:
        await shown("answer")(agent, graph(), "What is up?", "s1")
    await recorder.expect("task.update", task_id="answer-1", status="completed", progress={"done": 2})
    await recorder.expect("chat.message", session_id="s1", sender="scout", content="Hello big world")
