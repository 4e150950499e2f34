"""The adapters against the real packages, in an environment that has them, and `logging` in this one."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from daena_mesh import Mesh
from daena_mesh.adapters.logging import ActivityHandler
from daena_mesh.testing import Recorder, plugin
from tests.support.empty_environment import pinned
from tests.support.markdown import blocks
from tests.support.tracked import ROOT

mesh = plugin.mesh  # what users have, in place of the one of this folder

ADAPTERS = ROOT / "shared" / "events" / "daena_mesh" / "adapters"
TESTS = ROOT / "tests" / "adapters"


@pytest.mark.timeout(360)
def test_adapters_fit_the_real_packages() -> None:
    environment = pinned(TESTS / "requirements.lock", ROOT / ".venv" / "adapters")
    run = subprocess.run(
        [
            environment.programs / "python",
            *("-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "daena_mesh.testing.plugin"),
            *("-c", TESTS / "pytest.ini", "--confcutdir", TESTS, TESTS),
        ],
        cwd=ROOT,
        env={**environment.variables, "PYTHONPATH": str(ROOT / "shared" / "events")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout


def test_importing_them_loads_no_library() -> None:
    """They are there for whoever has one of those libraries, in whatever version."""
    names = [f"daena_mesh.adapters.{path.stem}" for path in ADAPTERS.glob("[a-z]*.py")]
    assert len(names) == 5
    script = f"""
import json, sys
import daena_mesh, {", ".join(names)}
third = {{name.partition(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names)
print(json.dumps(sorted(third)))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert set(json.loads(run.stdout)) & {"langgraph", "langchain_core", "agents", "openai", "mcp", "pytest"} == set()


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """Give a logger of the test's own."""
    logger = logging.getLogger("indexer")
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.handlers.clear()
    logger.propagate = True


async def test_a_log_line_is_an_activity(mesh: Mesh, recorder: Recorder, log: logging.Logger) -> None:
    async with mesh.agent("scout") as agent:
        log.addHandler(ActivityHandler(agent))
        log.debug("too little")
        log.warning("disk %s is full", "a")
        event = await recorder.expect("agent.activity", agent_id="scout")
    assert event.payload["activity"] == {"state": "disk a is full", "level": "WARNING", "logger": "indexer"}


async def test_what_the_document_shows_runs(mesh: Mesh, recorder: Recorder, log: logging.Logger) -> None:
    document = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
    (code,) = [block.code for block in blocks(document) if "ActivityHandler" in block.code]
    names: dict[str, Any] = {}
    exec(compile(code, "docs/adapters.md", "exec"), names)  # noqa: S102 - it is ours
    async with mesh.agent("scout") as agent:
        names["listen"](agent)
        log.info("a line")
        await recorder.expect("agent.activity", activity={"state": "a line", "logger": "indexer"})


async def test_lines_of_any_thread_are_told_and_the_last_one_always(
    mesh: Mesh, recorder: Recorder, log: logging.Logger
) -> None:
    async with mesh.agent("scout") as agent:
        handler = ActivityHandler(agent)
        log.addHandler(handler)

        def work() -> None:
            for number in range(10_000):
                log.info("line %d", number)

        thread = threading.Thread(target=work)
        thread.start()
        await asyncio.to_thread(thread.join)
        await recorder.expect("agent.activity", activity={"state": "line 9999"})
        assert len(recorder.found("agent.activity")) < 1_000
        assert handler.coalesced + agent.coalesced > 9_000


@pytest.mark.promise("P-ADAPTERS-2")
async def test_the_log_lines_of_the_mesh_itself_are_left_out(
    mesh: Mesh, recorder: Recorder, log: logging.Logger
) -> None:
    async with mesh.agent("scout") as agent:
        logging.getLogger().addHandler(handler := ActivityHandler(agent))
        try:
            for name in ("daena_mesh.connection", "nats.aio", "asyncio"):
                logging.getLogger(name).error("a line")
                assert handler._newest is None
            log.error("the only one")
            await recorder.expect("agent.activity", activity={"state": "the only one"})
        finally:
            logging.getLogger().removeHandler(handler)
    await recorder.caught_up()
    assert len(recorder.found("agent.activity")) == 1


@pytest.mark.promise("P-ADAPTERS-2")
async def test_a_line_that_cannot_be_told_raises_nothing(
    mesh: Mesh, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log.propagate = False  # what pytest listens with raises where nothing else does
    async with mesh.agent("scout") as agent:
        log.addHandler(ActivityHandler(agent))
        log.warning("disk %d is full", "a")
    log.warning("nobody is there")
    assert "Logging error" in capsys.readouterr().err


def test_a_line_after_the_end_of_the_loop_raises_nothing(mesh_url: str, log: logging.Logger) -> None:
    async def run() -> None:
        async with Mesh.connect() as mesh, mesh.agent("scout") as agent:
            log.addHandler(ActivityHandler(agent))

    asyncio.run(run())
    log.warning("nobody is there")
