from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import agents
import pytest
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)

from daena_mesh import Mesh
from daena_mesh.adapters.openai_agents import follow
from daena_mesh.testing import Recorder

agents.set_tracing_disabled(disabled=True)

CALL = ResponseFunctionToolCall(
    type="function_call", id="f1", call_id="c1", name="weather", arguments='{"city": "Oslo"}', status="completed"
)


class Model(agents.Model):
    """Calls a tool in its first turn, and says something in its second one; waits until what was before was told."""

    def __init__(self, words: list[str], recorder: Recorder) -> None:
        self._words = words
        self._recorder = recorder
        self._turns = 0

    async def get_response(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    async def stream_response(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        self._turns += 1
        output: list[Any] = [CALL]
        told = {"state": "agent", "agent": "Assistant"} if self._turns == 1 else {"state": "tool_output"}
        await self._recorder.expect("agent.activity", agent_id="scout", activity=told)
        if self._turns > 1:
            for number, word in enumerate(self._words):
                yield ResponseTextDeltaEvent(
                    type="response.output_text.delta",
                    item_id="m1",
                    output_index=0,
                    content_index=0,
                    delta=word,
                    logprobs=[],
                    sequence_number=number,
                )
            text = ResponseOutputText(type="output_text", text="".join(self._words), annotations=[])
            output = [
                ResponseOutputMessage(type="message", id="m1", role="assistant", status="completed", content=[text])
            ]
        response = Response(
            id=f"r{self._turns}",
            created_at=0,
            model="local",
            object="response",
            output=output,
            tool_choice="auto",
            tools=[],
            parallel_tool_calls=False,
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=99)


@agents.function_tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"rain in {city}"


@pytest.mark.promise("P-ADAPTERS-1")
async def test_a_run_is_told_of_as_it_runs(working: Any, recorder: Recorder) -> None:
    words = ["It ", "rains ", "in Oslo."]
    assistant = agents.Agent(name="Assistant", model=Model(words, recorder), tools=[weather])
    result = agents.Runner.run_streamed(assistant, "What is the weather?")
    events = [
        event async for event in follow(result.stream_events(), working.agent, task=working.task, out=working.out)
    ]
    assert result.final_output == "It rains in Oslo."
    assert working.out.text == "It rains in Oslo."
    assert len(events) > len(words)
    await recorder.expect("task.update", task_id="t1", progress={"done": 3, "note": "message_output_created"})
    await recorder.expect("chat.delta", session_id="s1", text="It ")


async def test_what_the_document_shows_runs(mesh: Mesh, recorder: Recorder, shown: Callable[[str], Any]) -> None:
    async with mesh.agent("scout") as agent:
        assistant = agents.Agent(name="Assistant", model=Model(["Rain."], recorder), tools=[weather])
        await shown("run")(agent, agents.Runner.run_streamed(assistant, "What is the weather?"), "s1")
    await recorder.expect("task.update", task_id="run-1", status="completed")
    await recorder.expect("chat.message", session_id="s1", sender="scout", content="Rain.")
