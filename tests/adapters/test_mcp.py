from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from mcp import Client
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from daena_mesh import Mesh
from daena_mesh.adapters.mcp import call_tool
from daena_mesh.testing import Recorder

server = MCPServer("files")


@server.tool()
async def index(folder: str, ctx: Context) -> str:
    """Index a folder."""
    for done in (1, 2, 3):
        await ctx.report_progress(done, 4, f"{folder}/{done}")
    return f"indexed {folder}"


@server.tool()
async def fail() -> str:
    """Fail."""
    raise ToolError("the folder is gone")


@server.tool()
async def wait(ctx: Context) -> str:
    """Wait for ever."""
    await ctx.report_progress(1)
    await asyncio.Event().wait()
    return "never"


@pytest.mark.promise("P-ADAPTERS-1")
async def test_the_progress_of_a_tool_is_that_of_a_task(mesh: Mesh, recorder: Recorder) -> None:
    async with Client(server) as client, mesh.agent("scout") as agent:
        result = await call_tool(agent, client, "index", {"folder": "docs"}, task_id="t1")
    assert result.content[0].text == "indexed docs"
    event = await recorder.expect("task.update", task_id="t1", status="completed", title="index", agent_id="scout")
    assert event.payload["progress"]["done"] == 3
    assert event.payload["progress"]["total"] == 4
    assert event.payload["progress"]["note"] == "docs/3"


async def test_a_tool_that_says_it_failed_fails_the_task_alone(mesh: Mesh, recorder: Recorder) -> None:
    async with Client(server) as client, mesh.agent("scout") as agent:
        result = await call_tool(agent, client, "fail")
    assert result.is_error
    event = await recorder.expect("task.update", status="failed", title="fail")
    assert "the folder is gone" in event.payload["reason"]


async def test_a_call_is_cancelled_with_its_task(mesh: Mesh, recorder: Recorder) -> None:
    async with Client(server) as client, mesh.agent("scout") as agent:
        calling: asyncio.Task[Any] = asyncio.create_task(call_tool(agent, client, "wait", task_id="t1"))
        await recorder.expect("task.update", task_id="t1", progress={"done": 1})
        await mesh.connection.request("svc.scout.cancel", b'{"task_id":"t1"}', timeout_s=5)
        assert await calling is None
    await recorder.expect("task.update", task_id="t1", status="cancelled")


async def test_what_the_document_shows_runs(mesh: Mesh, recorder: Recorder, shown: Callable[[str], Any]) -> None:
    async with Client(server) as client, mesh.agent("scout") as agent:
        assert (await shown("index")(agent, client)).content[0].text == "indexed docs"
    await recorder.expect("task.update", task_id="index-1", status="completed")
