"""The agents of the demo, together in one process: each could as well be one of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import daena_mesh
from daena_mesh.agent import Agent
from daena_mesh.asks import Ask
from daena_mesh.errors import MeshError
from daena_mesh.mesh import Mesh
from daena_mesh.sessions import SessionStore
from daena_mesh.settings import MeshSettings, load
from daena_mesh.stream_writer import StreamWriter
from mesh_cli.demo import load as machine
from mesh_cli.demo.badges import SESSION
from mesh_cli.demo.library import Library
from mesh_cli.demo.passages import text_files
from mesh_cli.demo.reader import Reader
from mesh_cli.demo.replies import reply, tokens_of

QUESTION = "What is a cursor?"
_TOKEN_S = 0.03
_LOAD_EVERY_S = 5.0


def folder_to_read(folder: Path) -> Path:
    """``folder``, or where there is nothing to read, the SDK itself."""
    folder = folder.resolve()
    return folder if text_files(folder, most=1) else Path(daena_mesh.__file__).parent


@contextlib.asynccontextmanager
async def agents_at_work(
    nats_url: str | None, folder: Path, badges: Path | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """Run all of them for a block, each on a connection of its own; the task that it gives ends when one has failed.

    ``badges`` is where the credentials of each are, on a mesh that takes nobody without.

    Raises:
        MeshError: there is no NATS.
    """
    library = Library()
    reader = Reader(folder, library)
    async with contextlib.AsyncExitStack() as stack:

        async def connect(name: str) -> Mesh:
            credentials = str(badges / f"{name}.creds") if badges is not None else None
            settings = load(MeshSettings, nats_url=nats_url, nats_creds=credentials)
            return await stack.enter_async_context(Mesh(settings, name=f"mesh-demo/{name}"))

        async def join(name: str, description: str) -> Agent:
            return await stack.enter_async_context((await connect(name)).agent(name, description=description))

        reading = await join("reader", "Makes the texts of a folder searchable")
        librarian = await join("librarian", "Answers questions from these texts")

        visiting = reading.mesh if badges is None else await connect("visitor")

        await librarian.activity("waiting for questions")

        @librarian.on_ask
        @librarian.on_ask("daena")
        async def answer(ask: Ask, out: StreamWriter) -> None:
            await librarian.activity("looking up", question=ask.content[:200])
            hits = library.find(ask.content)
            for token in tokens_of(reply(ask.content, hits, reader.shelf)):
                await out.write(token)
                await asyncio.sleep(_TOKEN_S)
            await librarian.activity("waiting for questions")

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(reader.work(reading), name="reader")
                group.create_task(_watch_machine(librarian.mesh), name="watchman")
                group.create_task(_first_question(visiting, reader), name="visitor")

        working = asyncio.create_task(work(), name="agents of the demo")
        try:
            yield working
        finally:
            working.cancel()
            await asyncio.wait([working])


async def _watch_machine(mesh: Mesh) -> None:
    """Report the machine's load as a brain would report its own."""
    brain = mesh.brain("machine")
    while True:
        await brain.report(await asyncio.to_thread(machine.load))
        await asyncio.sleep(_LOAD_EVERY_S)


async def _first_question(mesh: Mesh, reader: Reader) -> None:
    """Ask once, so that there is something to see; then it is the user's turn."""
    await reader.can_answer.wait()
    with contextlib.suppress(MeshError):  # a demo without its first question is one all the same
        if mesh.log.door is None:  # else the API makes the session: agents may not
            title = "Ask the librarian"
            await SessionStore(mesh).create(SESSION, title=title, scope_type="agent", scope_id="librarian")
        await mesh.ask("agent/librarian", QUESTION, session_id=SESSION, sender="visitor")
