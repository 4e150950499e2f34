"""The page of a mesh that asks for tokens."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from daena_mesh.tokens import Claims, Rights, mint
from tests.support import tokens
from tests.support.running_mesh import RunningMesh
from tests.support.tokens import KEY
from tests.support.windows import live

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
    pytest.mark.promise("P-TOKEN-4"),
]

WITHIN_MS = 30_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMesh]:
    folder = tmp_path_factory.mktemp("mesh")
    async with RunningMesh(folder, MESH_TOKEN_KEY=KEY, MESH_AUTH_WITHIN_S="0") as mesh:
        yield mesh


async def test_it_loads_without_a_token_and_says_what_is_missing(browser: Browser, mesh: RunningMesh) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(mesh.url)
    await page.wait_for_selector("#status[data-state=failed]", timeout=WITHIN_MS)
    await expect(page.locator("#composer-hint")).to_contain_text("the token is missing")
    await context.close()


async def test_the_cookie_of_a_login_lets_it_in(browser: Browser, mesh: RunningMesh) -> None:
    claims = Claims(sub="ada", exp=time.time() + 600, mesh=Rights((">",), (">",)))
    context = await browser.new_context()
    cookie = {"name": "mesh_token", "value": mint(claims, KEY.encode()), "url": mesh.url}
    await context.add_cookies([{**cookie, "httpOnly": True, "sameSite": "Strict"}])  # type: ignore[typeddict-item]
    page = await context.new_page()
    await page.goto(mesh.url)
    await live(page)
    await page.fill("#composer-text", "let in")
    await page.press("#composer-text", "Enter")
    said = page.locator("#messages", has_text="let in")
    await expect(said).to_be_visible(timeout=WITHIN_MS)
    await expect(said).to_contain_text("ada")
    await context.close()


@pytest.mark.promise("P-TOKEN-12")
async def test_a_login_by_script_sets_a_cookie_that_no_script_can_read(browser: Browser, mesh: RunningMesh) -> None:
    shown = token(600)
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(mesh.url)
    log_in = """async token => (await fetch("/api/v1/login", {
        method: "POST", headers: { Authorization: `Bearer ${token}` }})).status"""
    who = """async () => (await (await fetch("/api/v1/me")).json()).user"""
    greeted = """() => new Promise((resolve) => {
        const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws/events");
        socket.onmessage = () => { socket.close(); resolve(true); };
        socket.onclose = () => resolve(false);
    })"""
    assert not await page.evaluate(greeted)
    assert await page.evaluate(log_in, shown) == 200
    assert await page.evaluate("document.cookie") == ""
    assert await page.evaluate(who) == "ada"
    assert await page.evaluate(greeted)
    await page.evaluate("""async () => (await fetch("/api/v1/logout", { method: "POST" })).status""")
    assert not await page.evaluate(greeted)
    await context.close()


def token(for_s: float) -> str:
    """Make a token of ada's that is good for some time."""
    return tokens.token(">", write=[">"], lives_s=for_s)


async def test_a_token_is_entered_and_renewed_on_the_page(browser: Browser, mesh: RunningMesh) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(WITHIN_MS)
    await page.goto(f"{mesh.url}/#/tasks")
    sheet = page.get_by_role("dialog", name="Sign in")
    await expect(sheet).to_be_visible(timeout=WITHIN_MS)
    await expect(sheet.get_by_label("Token")).to_be_focused()
    await sheet.get_by_label("Token").fill("not.a.token")
    await page.keyboard.press("Enter")
    await expect(sheet.get_by_role("alert")).not_to_be_empty()
    await sheet.get_by_label("Token").fill(token(120))
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    await live(page)
    await expect(page.locator("#tasks")).to_be_visible()
    await expect(page.locator(".ending")).to_contain_text("Your token ends soon.")
    await page.get_by_role("button", name="Renew it").click()
    await page.get_by_role("dialog", name="You").get_by_label("Token").fill(token(3_600))
    await page.get_by_role("button", name="Renew", exact=True).click()
    await expect(page.locator(".ending")).to_have_count(0)
    await expect(page.get_by_role("button", name="You are ada")).to_be_visible()
    assert await page.evaluate("document.cookie") == ""
    assert await page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }]).includes('eyJ')") is False
    await context.close()
