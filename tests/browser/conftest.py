"""Fixtures of the tests in a browser."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.support.chromium import FLAGS
from tests.support.cutting_proxy import CuttingProxy
from tests.support.running_mesh import RunningMesh

expect.set_options(timeout=30_000)  # on a busy machine a page takes its time


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """Give one Chromium to all tests of a module, which open windows of their own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
def up(shared_mesh: RunningMesh) -> RunningMesh:
    """Give `mesh up` and its page; ``mesh`` is a connection to it."""
    return shared_mesh


@pytest.fixture
def session() -> str:
    """Give the id of a session of the test's own."""
    return f"s-{uuid.uuid4().hex[:8]}"


@pytest_asyncio.fixture(loop_scope="module")
async def proxy(up: RunningMesh) -> AsyncIterator[CuttingProxy]:
    """Give an address of that mesh whose connections can be cut."""
    async with CuttingProxy(up.port).running() as proxy:
        yield proxy


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Give an empty page in which scripts of the test may run, whatever its origin allows."""
    page = await browser.new_page(bypass_csp=True)
    page.set_default_timeout(30_000)
    yield page
    await page.close()
