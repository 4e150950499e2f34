"""What axe finds on a page that keeps people out: violations of WCAG 2.2 AA."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

from tests.support.tracked import ROOT

AXE = ROOT / "tests" / "sdk" / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


async def violations(page: Page, where: str) -> list[Any]:
    """Look at the page as it is; its window has to be one with `bypass_csp`, and `AXE` loaded into it."""
    found: list[Any] = await page.evaluate(
        """async (tags) => (await axe.run(document, { runOnly: tags })).violations
            .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary: why }) => [id, html.slice(0, 200), why]))""",
        WCAG,
    )
    return [[where, *each] for each in found]
