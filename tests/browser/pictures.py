"""Pictures of all rooms, of the agents of the demo: `make pictures` writes them to docs/rooms, and the README's."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import httpx
from playwright.async_api import async_playwright

from daena_mesh import Mesh
from tests.support.chromium import FLAGS
from tests.support.deadlines import eventually
from tests.support.real_parties import chromium_path
from tests.support.rooms import DARK, PHONE, ROOMS, WIDE, brain, council, take
from tests.support.running_mesh import RunningMesh
from tests.support.tracked import ROOT

FILES = 20_000
SETTLES_S = 12
"""Until there is something to be seen in the charts."""


async def work(mesh: Mesh) -> None:
    """Do what makes a mesh look lived in, until it is cancelled."""
    async with (
        mesh.agent("indexer", description="Indexes the archive") as indexer,
        indexer.task("archive", total=FILES, title="Index the archive") as archive,
    ):
        for number in range(1, FILES):
            await indexer.activity("indexing", file=f"archive/{number:05}.md")
            await archive.advance(1, note=f"{number:05}.md")
            await asyncio.sleep(0.15)


async def have_read(url: str) -> bool:
    """Whether the demo's agents know the whole shelf."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        tasks = (await client.get("/api/v1/tasks", params={"status": "completed"})).json()["tasks"]
        return bool(tasks)


async def talk(url: str) -> None:
    """Ask the agents of the demo something."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for question in ("What is a cursor?", "How is a gap found?"):
            body = {"message": question, "session_id": "questions"}
            await client.post("/api/v1/daena/chat", json=body, headers={"Prefer": "wait=20"})


async def main(folder: Path) -> None:
    """Write them into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        shelf = Path(data) / "handbook"
        shelf.mkdir()
        for text in (ROOT / "docs").glob("*.md"):
            shutil.copy(text, shelf)
        async with (
            RunningMesh(shelf, "--demo") as up,
            Mesh.connect(up.nats_url) as mesh,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
            await council(mesh)
            await brain(mesh)
            await eventually(lambda: have_read(up.url), within_s=120)
            await talk(up.url)
            working = asyncio.create_task(work(mesh))
            for room in ROOMS:
                address = f"{room}/questions" if room == "chat" else room
                for look in (WIDE, DARK, PHONE):
                    name = room if look is WIDE else f"{room}-{look.name}"
                    settles_s = SETTLES_S if room == "mesh" else 2
                    await take(browser, up.url, address, look, folder / f"{name}.png", settles_s=settles_s)
            await take(browser, up.url, "chat/questions", WIDE, folder.parent / "page.png", settles_s=2)
            working.cancel()
            await asyncio.wait([working])
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
