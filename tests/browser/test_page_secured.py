"""The page of a mesh whose NATS takes credentials alone: a person in it notices nothing of that."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from daena_mesh.vault import Vault
from tests.support.running_mesh import RunningMesh
from tests.support.windows import window

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest.mark.promise("P-CREDS-4")
async def test_people_chat_on_a_secured_mesh(browser: Browser, tmp_path: Path) -> None:
    Vault.create(tmp_path / ".mesh" / "creds")
    async with (
        RunningMesh(tmp_path, "--secure") as mesh,
        window(browser, f"{mesh.url}/#/chat/s1") as first,
        window(browser, f"{mesh.url}/#/chat/s1") as second,
    ):
        for page, text in ((first, "Where do we stand?"), (second, "On firm ground.")):
            await page.fill("#composer-text", text)
            await page.press("#composer-text", "Enter")
            for each in (first, second):
                await expect(each.get_by_text(text).first).to_be_visible()
    assert "Violation" not in (mesh.data_dir / "nats-server.log").read_text()
