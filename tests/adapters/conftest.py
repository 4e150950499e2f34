"""What the tests of all adapters share: an agent that works on a task, in the test's own mesh."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from daena_mesh import Agent, Mesh
from daena_mesh.stream_writer import StreamWriter
from daena_mesh.task import Task

# In the environment of all other tests these packages are not there; see tests/integration/test_adapters.py.
collect_ignore_glob = [] if importlib.util.find_spec("langgraph") else ["test_*.py"]


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"


@pytest.fixture
def shown() -> Callable[[str], Any]:
    """Give the function that docs/adapters.md shows under a name."""

    def find(name: str) -> Any:
        codes = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        (code,) = [code for code in codes if f"def {name}(" in code]
        names: dict[str, Any] = {}
        exec(compile(code, str(DOCUMENT), "exec"), names)  # noqa: S102 - it is ours
        return names[name]

    return find


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
