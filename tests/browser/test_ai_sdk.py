"""The AI SDK's `useChat`, as it comes from npm, over `/ai/chat`, with a real agent that streams."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from daena_mesh import Mesh
from tests.support.api import served_api
from tests.support.bundled import bundle, load
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def script() -> str:
    return bundle("ai_page.jsx")


class Talker:
    """An agent that writes what it is given, word by word."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.words: asyncio.Queue[str | None] = asyncio.Queue()
        self.asked: list[str] = []

    def say(self, *words: str | None) -> None:
        """Write these; None is the end of an answer."""
        for word in words:
            self.words.put_nowait(word)


@asynccontextmanager
async def talker(up: RunningMesh) -> AsyncIterator[Talker]:
    talker = Talker(f"a-{uuid.uuid4().hex[:8]}")
    async with Mesh.connect(up.nats_url) as own, own.agent(talker.name) as agent:

        @agent.on_ask
        async def answer(ask: Any, out: Any) -> None:
            talker.asked.append(ask.content)
            while (word := await talker.words.get()) is not None:
                await out.write(word)

        yield talker


async def say(page: Page, text: str) -> None:
    await page.get_by_label("Message").fill(text)
    await page.keyboard.press("Enter")


def session_of(talker: Talker) -> tuple[str, str]:
    session = f"s-{uuid.uuid4().hex[:8]}"
    return session, f"#/{session}/{talker.name}"


@pytest.mark.promise("P-AI-1")
async def test_an_answer_goes_on_after_a_reload_and_at_another_api(up: RunningMesh, page: Page, script: str) -> None:
    async with within(100), talker(up) as agent, served_api(up.nats_url) as other:
        session, after = session_of(agent)
        await load(page, up.url, script, after)
        await expect(page.locator("output")).to_have_text("ready")
        rows = page.locator("li")
        await say(page, "Count.")
        await expect(page.locator("output")).to_have_text("submitted")
        await expect(rows).to_have_text(["user: Count."])
        # It is thought about: a reload finds the question.
        await load(page, up.url, script, after)
        await expect(rows).to_have_text(["user: Count."])
        agent.say("one ", "two ")
        await expect(rows).to_have_text(["user: Count.", "assistant: one two "])
        await expect(page.locator("output")).to_have_text("streaming")
        # It is written: a reload is given it from its beginning, and so is who asks another process.
        await load(page, up.url, script, after)
        await expect(rows).to_have_text(["user: Count.", "assistant: one two "])

        async with other.client.stream("GET", f"/ai/chat/{session}/stream", timeout=60) as response:
            assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
            agent.say("three ")
            await expect(rows).to_have_text(["user: Count.", "assistant: one two three "])
            agent.say("four", None)
            await expect(rows).to_have_text(["user: Count.", "assistant: one two three four"])
            await expect(page.locator("output")).to_have_text("ready")
            frames = (await response.aread()).decode()
        assert frames.count('"type":"start"') == frames.count('"type":"finish"') == 1
        assert frames.endswith("data: [DONE]\n\n")
        assert (await other.client.get(f"/ai/chat/{session}/stream")).status_code == 204
        ids = await rows.evaluate_all("(rows) => rows.map((row) => row.dataset.id)")
        await load(page, up.url, script, after)
        await expect(rows).to_have_text(["user: Count.", "assistant: one two three four"])
        assert await rows.evaluate_all("(rows) => rows.map((row) => row.dataset.id)") == ids, "they are the log's own"
        assert agent.asked == ["Count."]
        # The next one, and the same once more.
        agent.say("five", None)
        await say(page, "And then?")
        await expect(rows.last).to_have_text("assistant: five")
        await expect(page.locator("output")).to_have_text("ready")
        agent.say("six", None)
        await page.get_by_role("button", name="Again").click()
        await expect(rows.last).to_have_text("assistant: six")
        await expect(rows).to_have_count(4)
        assert agent.asked == ["Count.", "And then?", "And then?"]


@pytest.mark.promise("P-AI-1")
@pytest.mark.parametrize("how", ["", "?abort"])
async def test_it_stops_on_request_and_not_when_the_page_is_closed(
    up: RunningMesh, page: Page, script: str, how: str
) -> None:
    async with within(100), talker(up) as agent, httpx.AsyncClient(base_url=up.url) as client:
        session, after = session_of(agent)
        await load(page, up.url, script, how + after)
        await say(page, "Count.")
        agent.say("one ")
        await expect(page.locator("li").last).to_have_text("assistant: one ")
        await page.goto("about:blank")
        agent.say("two ")
        await load(page, up.url, script, how + after)
        await expect(page.locator("li").last).to_have_text("assistant: one two ")
        await page.get_by_role("button", name="Stop").click()
        await expect(page.locator("output")).to_have_text("ready")

        async def is_over() -> bool:
            return (await client.get(f"/ai/chat/{session}/stream")).status_code == 204

        await eventually(is_over)
        (_, stored) = (await client.get(f"/api/v1/chat-history/sessions/{session}")).json()["messages"]
        assert stored["payload"]["content"] == "one two "
        assert stored["payload"]["metadata"]["reason"] == "stopped"
        await expect(page.locator("li")).to_have_text(["user: Count.", "assistant: one two "])
        await expect(page.get_by_role("alert")).to_be_empty()
        agent.say(None)


@pytest.mark.promise("P-AI-1")
async def test_what_is_refused_is_an_error_of_the_page(up: RunningMesh, page: Page, script: str) -> None:
    await load(page, up.url, script, "#/s1/no.agent")
    await page.wait_for_load_state("networkidle")  # it has asked for an answer that goes on, and there is none
    await say(page, "Anyone?")
    await expect(page.locator("output")).to_have_text("error")
    await expect(page.get_by_role("alert")).to_contain_text("agent_id")
