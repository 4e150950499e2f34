"""What the tests of all adapters share: an agent that works on a task, in the test's own mesh."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest_asyncio

from daena_mesh import Agent, Mesh
from daena_mesh.stream_writer import StreamWriter
from daena_mesh.task import Task

# In the environment of all other tests these packages are not there; see tests/integration/test_adapters.py.
collect_ignore_glob = [] if importlib.util.find_spec("langgraph") else ["test_*.py"]


class Working(NamedTuple):
    """An agent within its block, a task of its, and a text that it writes."""

    agent: Agent
    task: Task
    out: StreamWriter


@pytest_asyncio.fixture
async def working(mesh: Mesh) -> AsyncIterator[Working]:
    """Give an agent, working."""
    async with (
        mesh.agent("scout", activities_per_s=10_000) as agent,
        agent.task("t1") as task,
        mesh.chat("s1").stream("scout") as out,
    ):
        yield Working(agent, task, out)
