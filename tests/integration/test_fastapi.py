"""`daena_mesh.fastapi`: in applications of a test's own, and in the backend that docs/fastapi.md shows."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from websockets.asyncio.client import connect

from daena_mesh import Mesh, MeshError, UnknownSession, default_mesh, emit_agent_activity, emit_chat_message
from daena_mesh.fastapi import STATUSES, MeshDep, lifespan, refuse
from daena_mesh.testing import Recorder
from mesh_api.problems import KINDS
from tests.support.deadlines import eventually, within
from tests.support.markdown import blocks
from tests.support.story import Teller
from tests.support.tracked import ROOT

DOCUMENT = list(blocks((ROOT / "docs" / "fastapi.md").read_text(encoding="utf-8")))
BACKEND = ("backend/main.py", "backend/routes/chat.py")


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        yield client


def backend() -> FastAPI:
    app = FastAPI(lifespan=lifespan)

    @app.post("/chat/{session_id}")
    async def chat(session_id: str, mesh: MeshDep) -> str:
        assert mesh is default_mesh()
        return (await mesh.chat(session_id).send("Hello!", sender="user")).cursor

    @app.post("/emit/{session_id}")
    async def emit(session_id: str) -> str:
        return (await emit_chat_message(session_id, "user", "Hello!")).cursor

    @app.post("/activity")
    async def activity() -> str:
        return (await emit_agent_activity("a", "working")).id

    @app.post("/unknown")
    async def unknown(mesh: MeshDep) -> None:
        raise UnknownSession("no session of this id exists")

    @app.post("/broken")
    async def broken(mesh: MeshDep) -> None:
        raise MeshError("our own fault")

    return app


@pytest.mark.parametrize("door", ["chat", "emit"])
async def test_endpoints_emit(recorder: Recorder, door: str) -> None:
    async with running(backend()) as client:
        answer = await client.post(f"/{door}/s1")
        event = await recorder.expect("chat.message", session_id="s1", sender="user")
    assert answer.json() == event.cursor


async def test_the_connection_ends_with_the_application(mesh_url: str) -> None:
    async with running(backend()):
        mesh = default_mesh()
        await mesh.connection.wait_ready(10)
        assert not mesh.connection.is_closed
    assert mesh.connection.is_closed


async def test_it_composes_with_a_lifespan_that_is_there(recorder: Recorder) -> None:
    story: list[object] = []

    @asynccontextmanager
    async def everything(app: FastAPI) -> AsyncIterator[None]:
        story.append("opened")
        async with lifespan(app):
            yield
        story.append(recorder.found("agent.activity"))

    app = backend()
    app.router.lifespan_context = everything
    async with running(app), running(backend()) as inner:
        assert (await inner.post("/activity")).status_code == 200
        await recorder.expect("agent.activity", activity="working")
        await inner.aclose()
        assert default_mesh().connection.state == "connected"
    assert story[0] == "opened"
    assert story[1] == recorder.events


async def test_the_inner_of_two_applications_leaves_the_connection_to_the_outer_one(mesh_url: str) -> None:
    async with running(backend()) as client:
        async with running(backend()):
            mesh = default_mesh()
        assert (await client.post("/chat/s")).status_code == 200
        assert default_mesh() is mesh


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a NATS that is not there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MESH_NATS_URL", f"nats://127.0.0.1:{taken.getsockname()[1]}")


@pytest.mark.promise("P-FASTAPI-1")
async def test_without_nats_it_starts_and_says_so(nowhere: None) -> None:
    async with running(backend()) as client:
        assert (await client.post("/activity")).status_code == 200
        answer = await client.post("/chat/s", timeout=20)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert "127.0.0.1" not in answer.text


async def test_what_a_caller_can_mend_has_its_status(mesh_url: str) -> None:
    async with running(backend()) as client:
        answer = await client.post("/chat/a.b")
        assert answer.status_code == 422
        assert "safe_id()" in answer.json()["detail"]
        assert (await client.post("/unknown")).status_code == 404
        with pytest.raises(MeshError, match="our own fault"):
            await client.post("/broken")
        with pytest.raises(MeshError, match="safe_id"):
            await client.post("/emit/a.b")


async def test_a_handler_answers_for_endpoints_without_the_dependency(mesh_url: str) -> None:
    app = backend()
    app.add_exception_handler(MeshError, refuse)
    async with running(app) as client:
        assert (await client.post("/emit/a.b")).status_code == 422
        with pytest.raises(MeshError, match="our own fault"):
            await client.post("/broken")


async def test_without_the_lifespan_it_says_what_is_missing() -> None:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(backend()), base_url="http://x")
    with pytest.raises(RuntimeError, match=r"FastAPI\(lifespan=daena_mesh\.fastapi\.lifespan\)"):
        await client.post("/chat/s")
    await client.aclose()


def test_the_statuses_are_those_of_the_api() -> None:
    for kind, status in STATUSES.items():
        assert KINDS[kind].status == status


async def test_the_backend_of_the_document_emits_what_it_saves(mesh: Mesh, recorder: Recorder, tmp_path: Path) -> None:
    for name in BACKEND:
        (code,) = [block.code for block in DOCUMENT if block.code.startswith(f"# {name}\n")]
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)
    (command,) = [block.code.strip() for block in DOCUMENT if block.language == "sh"]
    command = command.replace("uvicorn", f"{Path(sys.executable).parent}/uvicorn", 1).replace("--port 8080", "--port 0")
    environment = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONPATH": str(tmp_path)}
    async with Teller(command, tmp_path, environment) as uvicorn:
        started = re.compile(r"Uvicorn running on http://(127\.0\.0\.1:\d+)")
        await eventually(lambda: started.search(uvicorn.told), within_s=20)
        host = started.findall(uvicorn.told)[0]
        async with within(20), connect(f"ws://{host}/ws/chat/s1") as socket, httpx.AsyncClient() as client:
            await socket.recv()
            for path, metadata in (("daena", {}), ("departments/HR", {"department_id": "HR"})):
                said = {"session_id": "s1", "message": f"to {path}"}
                answer = await client.post(f"http://{host}/api/v1/{path}/chat", json=said)
                assert answer.status_code == 200, uvicorn.told
                while "cursor" not in (frame := msgspec.json.decode(await socket.recv())):
                    pass  # on a machine that is busy it may tell that NATS was late to answer
                assert frame["cursor"] == answer.json()["cursor"]
                event = await recorder.expect("chat.message", content=f"to {path}", sender="user")
                assert event.payload["metadata"] == metadata


@pytest.mark.parametrize("word", ["async def everything", "add_exception_handler"])
async def test_the_other_snippets_start(mesh_url: str, word: str) -> None:
    (code,) = [block.code for block in DOCUMENT if word in block.code]
    names: dict[str, FastAPI] = {}
    exec(compile(code, "docs/fastapi.md", "exec"), names)  # noqa: S102 - it is ours
    async with running(names["app"]) as client:
        assert (await client.get("/nothing")).status_code == 404
