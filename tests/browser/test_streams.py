"""Messages that are being written, in the page in a real Chromium: reloaded in the middle elsewhere, and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect

from daena_mesh import Mesh
from tests.support.chromium import FLAGS
from tests.support.deadlines import eventually, within
from tests.support.running_mesh import RunningMesh

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

TOKENS = [f"{i} \N{BLACK HEART SUIT}\n" if i % 10 == 0 else f"{i} " for i in range(2_000)]
RECORD = """
window.seen = [];
new MutationObserver(() => {
  for (const body of document.querySelectorAll(".theirs .body")) window.seen.push(body.textContent);
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(chromium: Path) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page()
        page.set_default_timeout(15_000)
        await page.add_init_script(RECORD)
        yield page
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origins(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[RunningMesh, RunningMesh]]:
    """Give two APIs, each with an edge and the page, on one NATS."""
    folder = tmp_path_factory.mktemp("origins")
    async with (
        RunningMesh(folder / "one") as one,
        RunningMesh(folder / "two", MESH_NATS_URL=one.nats_url) as two,
    ):
        yield one, two


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(origins: tuple[RunningMesh, RunningMesh]) -> AsyncIterator[Mesh]:
    async with Mesh.connect(origins[0].nats_url) as mesh:
        yield mesh


async def seen(page: Page) -> list[str]:
    """Give all that a message of somebody else has ever shown, since the page was loaded."""
    texts: list[str] = await page.evaluate("window.seen")
    return texts


@pytest.mark.promise("P-STREAM-6")
async def test_a_reload_in_the_middle_on_another_edge_shows_the_whole_text(
    page: Page, origins: tuple[RunningMesh, RunningMesh], mesh: Mesh, session: str
) -> None:
    await mesh.chat(session).send("Count.", sender="user")
    opened, reloaded = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with mesh.chat(session).stream("daena") as out:
            for i, token in enumerate(TOKENS):
                await out.write(token)
                if i >= 400:  # from here on it grows before one's eyes, and from the middle on the page is reloaded
                    await asyncio.sleep(0.002)
                if i == 400:
                    await opened.wait()
                if i == 1_000:
                    await reloaded.wait()

    whole = "".join(TOKENS)
    async with within(90), asyncio.TaskGroup() as group:
        group.create_task(write())
        await page.goto(f"{origins[0].url}/#/chat/{session}")
        await expect(page.locator(".streaming .body")).to_contain_text("399 ")
        opened.set()
        await expect(page.locator(".streaming .body")).to_contain_text("900 ")
        first = await seen(page)
        await page.goto(f"{origins[1].url}/#/chat/{session}")
        await expect(page.locator(".streaming .body")).to_contain_text("900 ")
        assert whole.startswith(str(await page.locator(".streaming .body").text_content()))
        reloaded.set()
        await expect(page.locator(".message.theirs.stored")).to_have_count(1)
    await expect(page.locator(".streaming")).to_have_count(0)
    assert await page.locator(".theirs .body").text_content() == whole
    second = await seen(page)
    for texts in (first, second):
        assert len(set(texts)) > 10, "it grew before one's eyes"
        assert all(whole.startswith(text) for text in texts), "a token was missing, or came twice"
        assert texts == sorted(texts, key=len), "it never went back"
    assert len(second[0]) > 1_000, "the first that is shown after the reload is what there was before"


@pytest.mark.promise("P-STREAM-3")
async def test_a_button_stops_the_writer_and_the_message_says_so(
    page: Page, origins: tuple[RunningMesh, RunningMesh], mesh: Mesh, session: str
) -> None:
    await mesh.chat(session).send("Go on.", sender="user")
    await page.goto(f"{origins[1].url}/#/chat/{session}")

    async def write() -> None:
        async with mesh.chat(session).stream("daena") as out:
            await out.write("on and on")
            await asyncio.Event().wait()

    async with within(60), asyncio.TaskGroup() as group:
        writing = group.create_task(write())
        await page.get_by_role("button", name="Stop daena").click()
        await eventually(writing.done)
    await expect(page.locator(".message.incomplete .body")).to_have_text("on and on")
    await expect(page.locator(".incomplete-note")).to_have_text("Stopped.")
    await expect(page.locator(".stop")).to_have_count(0)


@pytest.mark.promise("P-STREAM-2")
async def test_a_message_whose_writer_failed_is_marked(
    page: Page, origins: tuple[RunningMesh, RunningMesh], mesh: Mesh, session: str
) -> None:
    await mesh.chat(session).send("Fail.", sender="user")
    await page.goto(f"{origins[0].url}/#/chat/{session}")
    await expect(page.locator(".body")).to_have_count(1)

    async def write() -> None:
        async with mesh.chat(session).stream("daena") as out:
            await out.write("half a th")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write()
    await expect(page.locator(".incomplete-note")).to_have_text("Incomplete: the writer failed.")
    await expect(page.locator(".message.incomplete .body")).to_have_text("half a th")
