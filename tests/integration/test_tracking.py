"""Loops that everybody can watch, against a real nats-server and a real terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from daena_mesh import track
from daena_mesh.embedded import NatsServer
from daena_mesh.errors import Conflict
from daena_mesh.events import Event
from daena_mesh.mesh import Mesh
from tests.support.deadlines import eventually, within
from tests.support.meshes import events, running


@pytest.fixture
async def mesh(nats_server: NatsServer) -> Any:
    async with running(nats_server.url) as mesh:
        yield mesh


async def until(feed: Any, status: str) -> Event:
    """Give the next update with this status."""
    while True:
        (event,) = await events(feed, 1)
        if event.payload["status"] == status:
            return event


async def pages(count: int, *, fails: bool = False) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number
    if fails:
        raise OSError("the rest cannot be read")


def numbers(count: int) -> Iterator[int]:
    yield from range(count)


@pytest.mark.promise("P-TASK-3")
async def test_a_loop_is_a_task_that_ends_with_it(mesh: Mesh) -> None:
    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent:
        assert [n async for n in agent.track([1, 2, 3], "t1", title="Three")] == [1, 2, 3]
        ended = await until(feed, "completed")
        assert (ended.subject, ended.payload["title"]) == ("task.t1.update.scout", "Three")
        assert (ended.payload["progress"]["done"], ended.payload["progress"]["total"]) == (3, 3)
        assert [n async for n in track(pages(4), agent, total=5)] == [0, 1, 2, 3]
        ended = await until(feed, "completed")
        assert (ended.payload["progress"]["done"], ended.payload["progress"]["total"]) == (4, 5)
        assert [n async for n in track(numbers(2), agent)] == [0, 1]
        ended = await until(feed, "completed")
        assert (ended.payload["progress"]["done"], ended.payload["progress"]["total"]) == (2, None)
        assert [n async for n in track(range(0), agent)] == []
        assert (await until(feed, "completed")).payload["progress"]["done"] == 0
        assert not agent.work


@pytest.mark.promise("P-TASK-3")
async def test_a_loop_may_advance_a_task_that_is_there(mesh: Mesh) -> None:
    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent:
        async with agent.task("t1") as task:
            async for _ in track(range(3), task):
                pass
            assert (task.progress.done, task.progress.total) == (3, 3)
            async for _ in track(range(2), task):
                pass
        assert (await until(feed, "completed")).payload["progress"]["done"] == 5


@pytest.mark.promise("P-TASK-3")
async def test_a_loop_fails_with_what_it_goes_through(mesh: Mesh) -> None:
    async def read() -> None:
        async for _ in agent.track(pages(3, fails=True), "t1"):
            pass

    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent:
        with pytest.raises(OSError, match="the rest"):
            await read()
        failed = await until(feed, "failed")
        assert failed.payload["reason"] == "OSError: the rest cannot be read"
        assert failed.payload["progress"]["done"] == 3


@pytest.mark.promise("P-TASK-3")
@pytest.mark.parametrize("how", ["break", "raise"])
async def test_a_loop_that_is_left_early_is_cancelled(mesh: Mesh, how: str) -> None:
    async def read() -> None:
        async for n in agent.track(pages(10), "t1"):
            if n == 4 and how == "break":
                break
            if n == 4:
                raise LookupError("that is it")

    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent:
        with contextlib.suppress(LookupError):
            await read()
        assert (await until(feed, "cancelled")).payload["progress"]["done"] == 4
        await eventually(lambda: not agent.work)


async def endless() -> AsyncIterator[int]:
    yield 0
    await asyncio.Event().wait()
    yield 1


@pytest.mark.promise("P-TASK-2")
@pytest.mark.parametrize("what", ["it waits for the next item", "it works on an item", "it only counts"])
async def test_a_loop_is_cancelled_from_afar_and_the_program_goes_on(mesh: Mesh, what: str) -> None:
    has_begun, goes_on = asyncio.Event(), asyncio.Event()

    async def read() -> int:
        count = 0
        items = endless() if what == "it waits for the next item" else range(2**40)
        async for _ in agent.track(items, "t1"):
            has_begun.set()
            count += 1
            if what == "it works on an item":
                await goes_on.wait()
        return count

    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent, within(20):
        reading = asyncio.create_task(read())
        await has_begun.wait()
        reply = await mesh.connection.request("svc.scout.cancel", b'{"task_id":"t1"}', timeout_s=5)
        assert json.loads(reply.body) == {"ok": True}
        goes_on.set()
        assert await reading >= 1
        assert reading.cancelling() == 0
        await until(feed, "cancelled")


async def test_who_cancels_the_program_cancels_the_loop(mesh: Mesh) -> None:
    async def read() -> None:
        async for _ in agent.track(endless(), "t1"):
            pass

    async with mesh.subscribe("task.>") as feed, mesh.agent("scout") as agent:
        reading = asyncio.create_task(read())
        await events(feed, 1)
        with pytest.raises(Conflict):
            await anext(agent.track([1], "t1"))
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await until(feed, "cancelled")


async def test_a_loop_that_nobody_goes_on_with_ends_with_its_agent(mesh: Mesh) -> None:
    async with mesh.subscribe("task.>") as feed:
        async with mesh.agent("scout") as agent:
            loop = agent.track(range(10), "t1")
            await anext(loop)
        assert (await until(feed, "cancelled")).payload["task_id"] == "t1"
        await loop.aclose()  # type: ignore[attr-defined]


# -- the bar --------------------------------------------------------------------------------------------------------

PROGRAM = """
import asyncio, sys
{before}
from daena_mesh import Mesh, track

async def main() -> None:
    async with Mesh.connect(sys.argv[1]) as mesh, mesh.agent("scout") as agent:
        async for _ in track(range(7), agent, title="Reading [all] pages"):
            async for _ in track(range(2), agent, title="within"):
                await asyncio.sleep(0)
    print("done")

asyncio.run(main())
"""
WITHOUT_RICH = "sys.modules['rich'] = None"


def run_in_terminal(url: str, before: str) -> tuple[str, str]:
    """Run the program with a terminal for its standard error: what it printed, and what the terminal was told."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(before=before), url],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"},
    ) as process:
        os.close(theirs)
        drawn = b""
        with contextlib.suppress(OSError):  # that is how the end of a terminal looks
            while chunk := os.read(ours, 65_536):
                drawn += chunk
        os.close(ours)
        assert process.stdout is not None
        printed = process.stdout.read()
    assert process.returncode == 0, drawn.decode()
    return printed, drawn.decode()


async def test_in_a_terminal_a_bar_is_drawn_where_rich_is_installed(mesh: Mesh, nats_server: NatsServer) -> None:
    printed, drawn = await asyncio.to_thread(run_in_terminal, nats_server.url, "")
    assert printed == "done\n"
    assert "Reading [all] pages" in drawn
    assert "7/7" in drawn
    assert await asyncio.to_thread(run_in_terminal, nats_server.url, WITHOUT_RICH) == ("done\n", "")


async def test_elsewhere_nothing_is_drawn(mesh: Mesh, nats_server: NatsServer) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", PROGRAM.format(before=""), nats_server.url],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
