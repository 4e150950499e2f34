"""The pytest plugin, on its own fixtures and as a user's tests meet it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import httpx
import pytest

from daena_mesh import Mesh, MeshError, MeshUnavailable, emit_chat_message, sync
from daena_mesh.testing import MeshServer, Recorder, plugin
from daena_mesh.testing.api import api
from tests.support.deadlines import within
from tests.support.markdown import Block, blocks
from tests.support.meshes import running
from tests.support.tracked import ROOT

pytest_plugins = ["pytester"]

mesh = plugin.mesh  # what users have, in place of the one of this folder

DOCUMENT = list(blocks((ROOT / "docs" / "testing.md").read_text(encoding="utf-8")))


def snippet(language: str, word: str) -> Block:
    (found,) = [block for block in DOCUMENT if block.language == language and word in block.code]
    return found


@pytest.mark.promise("P-TESTING-1")
async def test_what_one_test_says_no_other_hears(mesh_server: MeshServer) -> None:
    with mesh_server.account() as here, mesh_server.account() as there:
        async with Mesh.connect(here.url) as ours, Mesh.connect(there.url) as theirs:
            first = await ours.publish("chat.s.message", {"content": "here"}, event_id="same")
            second = await theirs.publish("chat.s.message", {"content": "there"}, event_id="same")
            assert not first.duplicate
            assert not second.duplicate
            for account, said in ((here, "here"), (there, "there")):
                await account.recorder.caught_up()
                assert [event.payload["content"] for event in account.recorder.events] == [said]


async def test_nobody_comes_in_without_an_account(mesh_server: MeshServer) -> None:
    with pytest.raises(MeshUnavailable, match="Authorization"):
        async with Mesh.connect(f"nats://127.0.0.1:{mesh_server.port}", wait_s=0.5):
            pass


async def test_there_are_as_many_meshes_as_one_asks_for(tmp_path: Path) -> None:
    server = MeshServer(tmp_path / "nats", accounts=2)
    try:
        with server.account() as first:
            async with Mesh.connect(first.url) as mesh, within(20):
                port = server.port
                for _ in range(4):
                    with server.account():
                        pass
                assert server.port != port
                await mesh.publish("agent.a.activity", {"activity": "still here"})
                await first.recorder.expect("agent.activity", activity="still here")
                assert mesh.connection.connects == 1
    finally:
        server.stop()
    assert list((tmp_path / "nats").iterdir()) == []


async def test_the_emitters_find_the_mesh_of_the_test(mesh: Mesh, recorder: Recorder, mesh_url: str) -> None:
    assert os.environ["MESH_NATS_URL"] == mesh_url
    ack = await emit_chat_message("s", "ada", "Hello!")
    event = await recorder.expect("chat.message", session_id="s", content="Hello!")
    assert (event.id, event.cursor) == (ack.id, ack.cursor)


@pytest.mark.parametrize("number", [1, 2])
def test_emitters_without_a_loop_find_the_mesh_of_each_test(recorder: Recorder, number: int) -> None:
    sync.emit_agent_activity("scout", number)
    assert recorder.wait_for("agent.activity", agent_id="scout").payload["activity"] == number
    recorder.catch_up()
    assert len(recorder.events) == 1


async def test_an_event_that_is_yet_to_come_is_waited_for(mesh: Mesh, recorder: Recorder) -> None:
    expecting = asyncio.create_task(recorder.expect("brain.status", status="late"))
    for status in ("early", "late"):
        await mesh.publish("brain.main.status", {"status": status})
        assert (await recorder.expect("brain.status", status=status)).subject == "brain.main.status"
    assert (await expecting).payload == {"status": "late"}


@pytest.mark.promise("P-TESTING-2")
async def test_what_is_not_there_after_catching_up_was_not_stored(mesh: Mesh, recorder: Recorder) -> None:
    """There is more than one read from a socket takes."""
    held, padding = threading.Event(), "x" * 8_000
    recorder._background._loop.call_soon_threadsafe(held.wait)  # it reads nothing meanwhile
    try:
        for number in range(100):
            await mesh.publish("agent.a.activity", {"activity": number, "padding": padding})
            await mesh.publish("session.s.updated", {"number": number, "padding": padding})
        mesh.connection.publish("agent.a.activity", b"no event")
        await mesh.connection.flush()
        catching_up = asyncio.create_task(recorder.caught_up())
        await asyncio.sleep(0)
    finally:
        held.set()
    await catching_up
    assert [event.payload["activity"] for event in recorder.found("agent.activity")] == list(range(100))
    assert [event.payload["number"] for event in recorder.found("session.updated")] == list(range(100))
    recorder.clear()
    await recorder.caught_up()
    assert recorder.events == []


async def test_a_failure_says_what_came(mesh: Mesh, recorder: Recorder) -> None:
    await mesh.publish("task.t.update", {"status": "running"})
    with pytest.raises(AssertionError, match=r"(?s)status='failed' did not come within 0 s.*but status='running'"):
        await recorder.expect("task.update", status="failed", within_s=0)


async def test_a_users_mesh_of_another_time_is_left_alone(mesh_url: str) -> None:
    """The settings of `meshes.running` name a server, and so count more than the environment."""
    async with running(mesh_url) as mesh:
        assert mesh.connection.state == "connected"


def users(pytester: pytest.Pytester, code: str, *options: str) -> pytest.RunResult:
    """Run a test file as a user does, in a process of its own."""
    pytester.makepyfile(code)
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    return pytester.runpytest_subprocess("-p", "no:xdist", "-p", "no:hypothesispytest", *options)


def test_what_the_document_shows_runs(pytester: pytest.Pytester) -> None:
    users(pytester, snippet("python", "emit_task_update").code).assert_outcomes(passed=3)


def test_a_mesh_may_be_of_another_scope(pytester: pytest.Pytester) -> None:
    users(pytester, snippet("python", "scope=").code).assert_outcomes(passed=1)


def test_an_agent_can_be_asked(pytester: pytest.Pytester) -> None:
    users(pytester, snippet("python", "on_ask").code).assert_outcomes(passed=1)


def test_an_api_serves_the_mesh_of_the_test(mesh_api: str, recorder: Recorder) -> None:
    body = {"session_id": "s1", "message": "Hello!"}
    answer = httpx.post(f"{mesh_api}/api/v1/daena/chat", json=body)
    assert recorder.wait_for("chat.message", session_id="s1").cursor == answer.json()["cursor"]


def test_an_api_that_does_not_start_says_why(mesh_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_API_WAIT_S", "never")
    with pytest.raises(MeshError, match=r"mesh api did not start: .*MESH_API_WAIT_S"), api(mesh_url, tmp_path / "log"):
        pass


def test_a_failure_looks_as_shown(pytester: pytest.Pytester) -> None:
    code = """
        async def test_it_fails(mesh, recorder):
            for status in ("running", "completed"):
                await mesh.publish("task.t.update", {"status": status})
            await mesh.publish("chat.s.message", {"content": "x"})
            await recorder.caught_up()
            await recorder.expect("task.update", task_id="t", status="failed", within_s=0.1)
    """
    result = users(pytester, code)
    result.assert_outcomes(failed=1)
    shown = [line.removeprefix("E   ").removeprefix("    ") for line in result.outlines if line.startswith("E ")]
    assert [line.strip() for line in shown] == [line.strip() for line in snippet("text", "").code.splitlines()]
    assert not [line for line in result.outlines if "recorder.py" in line], "the line of the test is enough"


def test_without_pytest_asyncio_there_is_a_recorder_and_a_sentence(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = """
        import importlib.util

        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *more: None if name == "pytest_asyncio" else find(name, *more)
    """
    (pytester.path / "sitecustomize.py").write_text(textwrap.dedent(hidden))
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    code = """
        from daena_mesh import sync

        def test_recorder(recorder):
            sync.emit_chat_message("s", "ada", "Hello!")
            recorder.wait_for("chat.message", sender="ada")

        def test_mesh(mesh):
            pass
    """
    pytester.makepyfile(code)
    result = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:xdist")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the fixture `mesh` needs pytest-asyncio (pip install pytest-asyncio)*"])


def test_the_plugin_alone_imports_pytest() -> None:
    script = "import sys, daena_mesh.testing, daena_mesh.testing.server; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "False"
