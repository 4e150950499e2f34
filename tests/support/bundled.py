"""A page of JavaScript, bundled with packages of npm that `tests/sdk/package-lock.json` pins, in a window."""

from __future__ import annotations

from playwright.async_api import Page

from tests.support.npm_tools import packages, run

_OPTIONS = (
    *("--bundle", "--format=esm", "--target=es2022", "--jsx=automatic", "--jsx-dev"),
    "--define:process.env.NODE_ENV='development'",
    *("--alias:@daena/mesh/react=./sdk/js/react/index.js", "--alias:@daena/mesh=./sdk/js/index.js"),
)
_ROOT = "document.body.replaceChildren(Object.assign(document.createElement('div'), { id: 'root' }))"


def bundle(page: str) -> str:
    """Give the script of ``tests/sdk/<page>``, with development builds and the client as it lies in the repository."""
    return run("esbuild", f"tests/sdk/{page}", *_OPTIONS, NODE_PATH=str(packages()))


async def load(page: Page, url: str, script: str, after: str = "") -> None:
    """Go to a page of the mesh at ``url`` with nothing of ours running, and run ``script`` there.

    The page needs ``bypass_csp``. ``after`` is what its address ends with, such as ``#s1``.
    """
    await page.goto("about:blank")  # another fragment alone would be no new page
    await page.goto(f"{url}/sdk/index.js{after}")
    await page.evaluate(_ROOT)
    await page.add_script_tag(content=script, type="module")
