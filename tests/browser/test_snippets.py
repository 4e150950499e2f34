"""What people paste: the browser's own WebSocket, without our client, and the ``nats`` command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.support.deadlines import eventually, within
from tests.support.own_page import CHAT, EVENTS, page_with
from tests.support.running_mesh import RunningMesh

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMesh]:
    with pytest.MonkeyPatch.context() as patch:
        # Where a mesh leaves the note of itself: other meshes may run on this machine.
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        async with RunningMesh(tmp_path_factory.mktemp("mesh"), MESH_ASK_TIMEOUT_S="600") as mesh:
            yield mesh


async def run(*command: str, said: str = "") -> str:
    """Run a command to its end and give what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with within(20):
        out, _ = await process.communicate(said.encode())
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.mark.promise("P-NATIVE-1", "P-POISON-1")
@pytest.mark.nats_cli
async def test_what_the_nats_command_publishes_shows_in_a_browser(
    chromium: Path, nats_cli: Path, mesh: RunningMesh
) -> None:
    publish = (str(nats_cli), "-s", mesh.nats_url, "pub", "agent.scout.activity")
    async with page_with(EVENTS, chromium, mesh.url) as page:
        rows = page.locator("#log li")
        await expect(rows.nth(0)).to_have_text("Connected")
        await run(*publish, "plain text is no event")
        await run(*publish, '{"activity":{"state":"searching"}}')
        shown = rows.filter(has_text='"agent.activity"')
        await expect(shown).to_have_count(1)
        frame = json.loads((await shown.inner_text()).removeprefix("Message: "))
        assert frame["event_type"] == "agent.activity"
        assert frame["payload"] == {"activity": {"state": "searching"}}
        await expect(rows.filter(has_text="is no event and was not shown")).to_have_count(1)


async def test_a_chat_message_shows_on_a_page_of_ones_own(chromium: Path, mesh: RunningMesh) -> None:
    async with page_with(CHAT, chromium, mesh.url) as page, httpx.AsyncClient(base_url=mesh.url) as client:
        said: dict[str, Any] = {"message": "Hello!", "session_id": "test_session", "sender": "ada"}
        (await client.post("/api/v1/daena/chat", json=said)).raise_for_status()
        (await client.post("/api/v1/daena/chat", json={**said, "session_id": "other"})).raise_for_status()
        (await client.post("/api/v1/daena/chat", json={**said, "message": "Bye!"})).raise_for_status()
        await expect(page.locator("#log li")).to_have_text(["ada: Hello!", "ada: Bye!"])


@pytest.mark.promise("P-FANOUT-1", "P-SESSION-3")
async def test_one_line_in_a_python_shell_shows_everywhere(chromium: Path, mesh: RunningMesh) -> None:
    lines = (
        'from daena_mesh import emit_chat_message\nawait emit_chat_message("test_session", "user", "From a shell!")\n'
    )
    async with (
        page_with(EVENTS, chromium, mesh.url) as events,
        page_with(CHAT, chromium, mesh.url) as chat,
        httpx.AsyncClient(base_url=mesh.url) as client,
    ):
        # Nothing says where the mesh is: it has left a note of itself.
        out = await run(sys.executable, "-m", "asyncio", said=lines)
        assert "Ack(" in out, out
        await expect(chat.locator("#log li")).to_have_text(["user: From a shell!"])
        await expect(events.locator("#log li", has_text='"chat.message"')).to_have_count(1)

        async def listed() -> bool:
            sessions = (await client.get("/api/v1/chat-history/sessions")).json()["sessions"]
            return "test_session" in [session["session_id"] for session in sessions]

        await eventually(listed)
        await chat.goto(f"{mesh.url}/#/chat/test_session")
        await expect(chat.locator('#session-list a[href="#/chat/test_session"]')).to_have_count(1)
        await expect(chat.locator("#messages .body", has_text="From a shell!")).to_have_count(1)


@pytest.mark.promise("P-FANOUT-1")
async def test_what_a_chat_endpoint_emits_and_each_call_shows_on_both_pages(chromium: Path, mesh: RunningMesh) -> None:
    # In a chat endpoint, after the message was saved.
    endpoint = """
import asyncio
from daena_mesh import emit_chat_message

async def endpoint(session_id, message):
    await emit_chat_message(
        session_id=session_id,
        sender="user",
        content=message,
        metadata={"department_id": "HR"}
    )

asyncio.run(endpoint("test_session", "From an endpoint"))
"""
    async with (
        page_with(EVENTS, chromium, mesh.url) as events,
        page_with(CHAT, chromium, mesh.url) as chat,
        httpx.AsyncClient(base_url=f"{mesh.url}/api/v1") as client,
    ):
        shown = chat.locator("#log li")
        await run(sys.executable, "-c", endpoint)
        await expect(shown).to_have_text(["user: From an endpoint"])
        said = {"session_id": "test_session", "sender": "ada"}
        for path in ("daena/chat", "departments/HR/chat", "agents/scout/chat"):
            (await client.post(path, json={**said, "message": path})).raise_for_status()
        await expect(shown.nth(3)).to_have_text("ada: agents/scout/chat")
        await expect(shown).to_contain_text(["endpoint", "daena/chat", "departments/HR/chat", "agents/scout/chat"])
        created = await client.post("chat-history/sessions", json={"title": "Plans"})
        session = created.json()["session_id"]
        (await client.put(f"chat-history/sessions/{session}", json={"title": "Old plans"})).raise_for_status()
        for event_type, count in (("chat.message", 4), ("session.created", 1), ("session.updated", 1)):
            rows = events.locator("#log li", has_text=f'"event_type":"{event_type}"')
            rows = rows if event_type == "chat.message" else rows.filter(has_text=session)
            await expect(rows).to_have_count(count)
        await expect(events.locator("#log li", has_text='"department_id":"HR"')).to_have_count(2)


@pytest.mark.nats_cli
async def test_the_nats_command_watches_what_the_api_emits(nats_cli: Path, mesh: RunningMesh) -> None:
    process = await asyncio.create_subprocess_exec(
        *(str(nats_cli), "-s", mesh.nats_url, "sub", "chat.>", "--count", "1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with within(20):
            while b"Subscribing on chat.>" not in await process.stdout.readline():
                pass
            async with httpx.AsyncClient(base_url=mesh.url) as client:
                body = {"message": "for the operators", "session_id": "ops"}
                # The command says that it subscribes before the server knows it.
                printed = asyncio.create_task(process.stdout.read())
                while not printed.done():
                    (await client.post("/api/v1/departments/HR/chat", json=body)).raise_for_status()
                    await asyncio.wait({printed}, timeout=0.2)
            text = printed.result().decode()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert 'Received on "chat.ops.message"' in text
    event = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
    assert event["event_type"] == "chat.message"
    assert event["payload"]["content"] == "for the operators"
    assert event["payload"]["metadata"]["department_id"] == "HR"
