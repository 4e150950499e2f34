"""The packed npm package in an empty project: in Node, in TypeScript, with Vite, and as the page of docs/clients.md."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import playwright
import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from daena_mesh import Mesh
from tests.support.chromium import FLAGS
from tests.support.deadlines import within
from tests.support.markdown import blocks
from tests.support.npm_tools import TOOLS, check, packages
from tests.support.real_parties import find, node_path, skip
from tests.support.running_mesh import RunningMesh
from tests.support.tracked import ROOT

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

IN_NODE = """
import { open } from "@daena/mesh";
import { connect } from "@daena/mesh/core";
import { SseSocket } from "@daena/mesh/sse";
import { Assembly } from "@daena/mesh/assembly";
import { Conversation } from "@daena/mesh/conversation";

const base = process.argv[2];
for (const [how, options] of Object.entries({ ws: {}, sse: { WebSocket: SseSocket } })) {
  const chat = connect(`chat_${how}`, { base, ...options });
  const heard = new Promise((resolve) => chat.on("chat.message", ({ payload }) => resolve(payload.content)));
  await new Promise((resolve) => chat.on("state", ({ state }) => state === "connected" && resolve()));
  await chat.send(`chat.${how}.message`, { content: `by ${how}` });
  console.log(await heard);
  chat.close();
}
const mesh = open({ base });
const chat = mesh.chat("ws");
await new Promise((resolve) => chat.on("change", () => chat.items.length && resolve()));
console.log(chat.items[0].content, new Conversation("x").items.length, new Assembly().text.length);
mesh.close();
"""

IN_TYPESCRIPT = """
import { open, type Item } from "@daena/mesh";
import { connect, type ConnectionState, type MeshEvent } from "@daena/mesh/core";
import { SseSocket } from "@daena/mesh/sse";
import { MeshProvider, useAgent, useChat, useMesh, useTask, type ChatNow } from "@daena/mesh/react";

export function Page() {
  const now: ChatNow = useChat("s1", { sender: "ada" });
  const sent: Promise<{ cursor: string }> = useChat(null).send("Hello!", { id: "m1" });
  // @ts-expect-error a session has an id
  useChat(1);
  const children = [now.items[0].content, useTask("t1").progress, useAgent("scout").tasks[0], sent];
  return MeshProvider({ base: "/", children });
}
export const useCursor = () => useMesh().mesh?.follow("events").since;
const mesh = open({ base: "http://127.0.0.1:8000/", WebSocket: SseSocket, getToken: async () => "jwt" });
const items: Item[] = mesh.chat("s1").items;
const state: ConnectionState = connect("events", { storage: sessionStorage, WebSocket }).state;
const show = (event: MeshEvent) => console.log(event.payload.content, items, state.retryInMs);
mesh.follow("chat_s1").on("chat.message", show);
mesh.follow("chat_s1").on("chat.message", ({ payload }) => {
  const content: string = payload.content;
  // @ts-expect-error a content is no number
  const number: number = payload.content;
  console.log(content, number, payload.mine);
});
mesh.follow("agent_scout").on("agent.status", ({ payload: { status } }) => console.log(status === "busy"));
mesh.on("state", ({ retryInMs }) => console.log((retryInMs ?? 0) / 1_000));
mesh.follow("events").on("weather.report", ({ payload }) => console.log(payload.anything));
const cursor: Promise<string> = mesh.send("chat.s1.message", {}).then((ack) => ack.cursor);
// @ts-expect-error there is no such option
connect("events", { colour: "red" });
console.log(cursor, mesh.task("t1").isOpen, mesh.agent("scout").tasks);
"""

OPTIONS = {"strict": True, "noEmit": True, "module": "nodenext", "lib": ["es2022", "dom"], "types": []}
EXAMPLE = ROOT / "examples" / "react-chat"


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    return check(*command, cwd=cwd, npm_config_cache=str(cwd / ".npm"), npm_config_update_notifier="false", **variables)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an empty project where the package is installed, and nothing else."""
    modules = packages()
    npm = find(["npm"]) or skip("install npm to run this test")
    around = tmp_path_factory.mktemp("around")
    (around / "node_modules").symlink_to(modules)  # where Node looks for what else a project needs
    folder = around / "project"
    folder.mkdir()
    run(npm, "pack", ROOT / "sdk" / "js", "--silent", cwd=folder)
    (packed,) = folder.glob("*.tgz")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    run(npm, "install", f"./{packed.name}", "--offline", "--no-audit", "--no-fund", "--silent", cwd=folder)
    with tarfile.open(packed) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    sources = {path.relative_to(ROOT / "sdk" / "js").as_posix() for path in (ROOT / "sdk" / "js").rglob("*.*")}
    assert names == sources
    assert [path.name for path in (folder / "node_modules").iterdir() if path.name[0] != "."] == ["@daena"]
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMesh]:
    async with RunningMesh(tmp_path_factory.mktemp("mesh")) as mesh:
        yield mesh


@pytest.mark.promise("P-CLIENT-1")
@pytest.mark.parametrize("whose", ["ours", "Playwright's"])
async def test_it_follows_and_sends_in_node(whose: str, project: Path, mesh: RunningMesh) -> None:
    """Playwright comes with a Node of its own, which is a later one."""
    (project / "client.js").write_text(IN_NODE)
    node = node_path() if whose == "ours" else Path(playwright.__file__).parent / "driver" / "node"
    version = int(run(node, "--version", cwd=project)[1:].partition(".")[0])
    options = ["--experimental-websocket"] if version < 22 else []
    said = run(node, *options, "client.js", f"{mesh.url}/", cwd=project)
    assert said.splitlines() == ["by ws", "by sse", "by ws 0 0"]


@pytest.mark.promise("P-CLIENT-1")
async def test_its_types_are_found_and_hold(project: Path) -> None:
    (project / "client.ts").write_text(IN_TYPESCRIPT)
    (project / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS, "files": ["client.ts"]}))
    run(packages() / ".bin" / "tsc", "-p", ".", cwd=project)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """Serve a folder, as `python3 -m http.server` does."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        async with within(20):
            found = re.search(rb"http://127\.0\.0\.1:\d+", await process.stdout.readline())
        assert found is not None
        yield found[0].decode()
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.browser
@pytest.mark.promise("P-CLIENT-2", "P-CLIENT-6")
@pytest.mark.parametrize("document", [(0, "s1"), (1, "s2")], ids=["plain", "vue"])
async def test_the_pages_of_the_document_live(
    document: tuple[int, str], project: Path, mesh: RunningMesh, chromium: Path, tmp_path: Path
) -> None:
    pages = [block.code for block in blocks((ROOT / "docs/clients.md").read_text()) if block.language == "html"]
    assert len(pages) == 2
    number, session = document
    shown = pages[number]
    assert shown.count('"http://127.0.0.1:8000/"') == 1
    live = tmp_path / "live"
    shutil.copytree(project / "node_modules" / "@daena" / "mesh", live)
    shutil.copy(packages() / "vue" / "dist" / "vue.esm-browser.prod.js", live / "vue.js")
    (live / "chat.html").write_text(shown.replace("http://127.0.0.1:8000/", f"{mesh.url}/"))
    async with (
        async_playwright() as playwright,
        served(live) as url,
    ):
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page()
        page.set_default_timeout(30_000)
        await page.goto(f"{url}/chat.html")
        await expect(page.locator("#state")).to_have_text("connected", timeout=30_000)
        await page.get_by_label("Message").fill("Is anyone there?")
        await page.keyboard.press("Enter")
        await expect(page.locator("li")).to_have_text(["ada: Is anyone there?"], timeout=30_000)
        async with Mesh.connect(mesh.nats_url) as other:
            await other.chat(session).send("I am.", sender="scout")
        await expect(page.locator("li")).to_have_text(["ada: Is anyone there?", "scout: I am."], timeout=30_000)
        await mesh.stop()
        await page.get_by_label("Message").fill("Still there?")
        await page.keyboard.press("Enter")
        await expect(page.locator("li").nth(2)).to_have_text("ada: Still there? (sending)", timeout=30_000)
        await mesh.start()
        await expect(page.locator("li").nth(2)).to_have_text("ada: Still there?", timeout=60_000)
        async with Mesh.connect(mesh.nats_url) as again:
            history = await again.chat(session).history(5)
        assert [event.payload["content"] for event in history] == ["Is anyone there?", "I am.", "Still there?"]
        await browser.close()


@pytest.mark.browser
@pytest.mark.promise("P-REACT-1")
async def test_the_example_in_react_is_built_by_vite_and_lives(
    project: Path, mesh: RunningMesh, chromium: Path, tmp_path: Path
) -> None:
    asked = json.loads((EXAMPLE / "package.json").read_text())
    packed = json.loads((project / "package.json").read_text())["dependencies"]
    wanted = {name: asked["dependencies"][name] for name in packed}
    assert wanted == packed, "the example asks for another file than npm pack makes"
    tools = json.loads((TOOLS / "package.json").read_text())["devDependencies"]
    others = {**asked["dependencies"], **asked["devDependencies"]}.items() - wanted.items()
    assert dict(others) == {name: f"^{tools[name]}" for name, _ in others}, "it is tested with what it asks for"
    shutil.copytree(EXAMPLE / "src", project / "src")
    shutil.copy(EXAMPLE / "index.html", project)
    run(packages() / ".bin" / "vite", "build", cwd=project, VITE_MESH=f"{mesh.url}/")
    async with (
        async_playwright() as playwright,
        served(project / "dist") as url,
        Mesh.connect(mesh.nats_url) as other,
    ):
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_default_timeout(30_000)
        await page.goto(url)
        await page.get_by_label("Session").fill("vite")
        await expect(page.locator("output")).to_have_text("connected", timeout=30_000)
        await page.get_by_label("Message").fill("Is anyone there?")
        await page.keyboard.press("Enter")
        await expect(page.locator("li.stored")).to_have_text(["ada Is anyone there?"], timeout=30_000)
        async with other.chat("vite").stream("daena") as out:
            await out.write("I ")
            await expect(page.locator("li.streaming")).to_have_text("daena I ", timeout=30_000)
            await out.write("am.")
        await expect(page.locator("li.stored")).to_have_text(["ada Is anyone there?", "daena I am."], timeout=30_000)
        assert errors == []
        await browser.close()
