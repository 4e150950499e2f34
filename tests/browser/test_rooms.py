"""The rooms of councils, brains and the mesh, and what holds for all rooms, in a real Chromium on a real mesh."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Request, expect

from daena_mesh import Mesh
from tests.support.deadlines import eventually
from tests.support.rooms import DARK, PHONE, ROOMS, Look, at_rest, brain, council, enter, is_too_wide, shown, take
from tests.support.running_mesh import RunningMesh
from tests.support.windows import window

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

HOSTILE = "<img src=x onerror=\"document.title='hacked';alert(1)\"><script>alert(2)</script>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMesh]:
    async with RunningMesh(tmp_path_factory.mktemp("mesh"), "--demo") as up:
        yield up


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(up: RunningMesh) -> AsyncIterator[Mesh]:
    async with Mesh.connect(up.nats_url) as mesh:
        await council(mesh)
        await brain(mesh)
        yield mesh


async def emit(up: RunningMesh, subject: str, text: str) -> None:
    """Tell something with the command."""
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mesh_cli", "emit", subject, text, "--nats-url", up.nats_url),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await command.wait() == 0


@pytest.mark.promise("P-ROOM-2")
@pytest.mark.usefixtures("mesh")
async def test_council_shows_proposals_votes_and_decisions_as_they_come(browser: Browser, up: RunningMesh) -> None:
    async with window(browser, f"{up.url}/#/council") as page:
        proposal = page.locator(".minutes li").filter(has=page.locator("h3", has_text="Move the archive"))
        await expect(proposal.locator(".badge")).to_have_text("Accepted")
        await expect(proposal.locator(".tally")).to_have_attribute("aria-label", "3 for, 1 against")
        await proposal.locator("summary").click()
        await expect(proposal.locator("details li").first).to_have_text("scout approve")
        await expect(page.locator(".councils")).to_have_count(0)
        # Live, from the command; as texts.
        await emit(up, "council.budget.update", '{"update": {"proposal": "Spend less", "by": "ada"}}')
        new = page.locator(".minutes li").first
        await expect(new.locator("h3")).to_have_text("Spend less")
        await expect(new.locator(".badge")).to_have_text("Open")
        await emit(up, "council.budget.update", '{"update": {"proposal": "Spend less", "decision": "rejected"}}')
        await expect(new.locator(".badge")).to_have_text("Rejected")
        await page.locator(".councils a", has_text="board").click()
        await expect(page.locator(".minutes h3")).to_have_text(
            ["Answer only with a source", "Move the archive to object storage"]
        )
        await page.reload()
        await expect(page.locator(".minutes h3")).to_have_count(2)


@pytest.mark.promise("P-ROOM-2")
async def test_brain_shows_models_health_and_latency_over_time(browser: Browser, up: RunningMesh, mesh: Mesh) -> None:
    async with window(browser, up.url) as page:
        loaded: list[str] = []
        page.on("request", lambda request: loaded.append(request.url))
        await enter(page, "activity")
        assert not [url for url in loaded if "uplot" in url]
        await enter(page, "brain")
        card = page.locator('[data-brain="main"]')
        await expect(card.locator(".badge")).to_have_text("online")
        await expect(card.locator(".models code")).to_have_text(["llama3.2", "qwen3:4b"])
        await expect(card.locator(".plot canvas")).to_be_visible()
        assert len([url for url in loaded if "uplot" in url]) == 1
        plot = card.locator(".plot")
        before = await plot.get_attribute("aria-label") or ""
        assert "first token" in before
        status = {"state": "offline", "reason": HOSTILE, "first_token_ms": 4321}
        await mesh.publish("brain.main.status", {"brain_id": "main", "status": status})
        await expect(card.locator(".badge")).to_have_text("offline")
        await expect(card.locator(".reason")).to_have_text(HOSTILE)
        await expect(plot).to_have_attribute("aria-label", "Latency: first token 4,321 ms, list of models – ms")
        # The agent of the demo that watches the machine.
        await expect(page.locator('[data-brain="machine"] .plot canvas')).to_be_visible()
        await brain(mesh, count=1)


@pytest.mark.promise("P-ROOM-3")
@pytest.mark.usefixtures("mesh")
async def test_mesh_shows_what_runs_and_asks_only_while_it_is_looked_at(browser: Browser, up: RunningMesh) -> None:
    async with window(browser, f"{up.url}/#/mesh") as page:
        asked = 0

        def note(request: Request) -> None:
            nonlocal asked
            asked += "/api/v1/mesh" in request.url

        page.on("request", note)
        await expect(page.locator('.column[data-kind="edges"] .box')).to_have_count(1)
        await expect(page.locator('.column[data-kind="nodes"] .box')).to_have_count(1)
        tile = page.locator(".tile").filter(has=page.get_by_text("Sockets", exact=True))
        await expect(tile.locator("b")).to_have_text("1")
        rows = page.locator("tbody th", has_text="RECORDS")
        await expect(rows).to_have_count(1)
        await expect(page.locator(".plot canvas")).to_have_count(2)
        async with window(browser, up.url):
            await expect(tile.locator("b")).to_have_text("2")
        await eventually(lambda: asked >= 2)
        await enter(page, "council")
        before = asked
        await asyncio.sleep(5)  # two looks would have been
        assert asked == before


@pytest.mark.promise("P-PAGE-4")
async def test_hostile_texts_run_nothing_in_any_room(browser: Browser, up: RunningMesh, mesh: Mesh) -> None:
    await mesh.publish("council.board.update", {"council_id": HOSTILE, "update": {"proposal": HOSTILE, "by": HOSTILE}})
    await mesh.publish("council.board.update", {"update": {"proposal": HOSTILE, "vote": HOSTILE, "by": HOSTILE}})
    status = {"state": HOSTILE, "model": HOSTILE, "models": [HOSTILE, HOSTILE], "server": HOSTILE, HOSTILE: 7}
    await mesh.publish("brain.hostile.status", {"brain_id": HOSTILE, "status": status})
    await mesh.publish("agent.hostile.activity", {"agent_id": HOSTILE, "activity": HOSTILE})
    mesh.connection.subscribe("$SRV.STATS.mesh-edge", _hostile_edge(mesh))
    await mesh.connection.flush()
    async with window(browser, up.url) as page:
        for room in ("council", "brain", "mesh", "activity"):
            await enter(page, room)
            await expect(page.get_by_text(HOSTILE).first).to_be_attached()
            assert await page.locator("#room img, #room script, body > script").count() == 0
        await page.locator(".event", has_text=HOSTILE).last.click()
        await expect(page.locator(".event-detail .json")).to_contain_text("onerror")
        assert await page.locator("#room img, #room script").count() == 0
        assert await page.title() != "hacked"


def _hostile_edge(mesh: Mesh) -> Callable[[bytes, bytes, bytes, bytes], None]:
    def answer(_subject: bytes, reply: bytes, _headers: bytes, _body: bytes) -> None:
        told = {"name": "mesh-edge", "id": "x", "metadata": {"edge": HOSTILE, "host": HOSTILE}, "version": HOSTILE}
        mesh.connection.publish(reply.decode(), msgspec.json.encode({**told, "endpoints": [{"name": "d"}]}))

    return answer


@pytest.mark.promise("P-ROOM-4")
@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize("look", [DARK, PHONE], ids=lambda look: look.name)
async def test_each_room_shows_itself_on_a_phone_and_in_the_dark(
    browser: Browser, up: RunningMesh, look: Look, tmp_path: Path
) -> None:
    options = {"viewport": {"width": look.width, "height": look.height}, "color_scheme": look.theme}
    async with window(browser, up.url, **options) as page:
        for room in ROOMS:
            await enter(page, room)
            await at_rest(page, room)
            await shown(page)
            assert await page.locator("#room [role=alert]").count() == 0
            assert (room, await is_too_wide(page)) == (room, [])
            picture = tmp_path / f"{room}.png"
            await page.screenshot(path=picture)
            assert picture.stat().st_size > 5_000
    await take(browser, up.url, "mesh", look, tmp_path / "taken.png")
    assert (tmp_path / "taken.png").stat().st_size > 10_000
