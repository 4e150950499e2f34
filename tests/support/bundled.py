"""A page of JavaScript, bundled with packages of npm that `tests/sdk/package-lock.json` pins, in a window."""

from __future__ import annotations

import os
import subprocess

from playwright.async_api import Page

from tests.support.real_parties import node_path, skip
from tests.support.tracked import ROOT

TOOLS = ROOT / "tests" / "sdk"
_OPTIONS = (
    *("--bundle", "--format=esm", "--target=es2022", "--jsx=automatic", "--jsx-dev"),
    "--define:process.env.NODE_ENV='development'",
    *("--alias:@daena/mesh/react=./sdk/js/react/index.js", "--alias:@daena/mesh=./sdk/js/index.js"),
)
_ROOT = "document.body.replaceChildren(Object.assign(document.createElement('div'), { id: 'root' }))"


def bundle(page: str) -> str:
    """Give the script of ``tests/sdk/<page>``, with development builds and the client as it lies in the repository."""
    node_path()
    if not (TOOLS / "node_modules" / "react").exists():
        skip("run npm ci --prefix tests/sdk to run this test")
    environment = {**os.environ, "NODE_PATH": str(TOOLS / "node_modules")}
    command = [str(TOOLS / "node_modules" / ".bin" / "esbuild"), f"tests/sdk/{page}", *_OPTIONS]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


async def load(page: Page, url: str, script: str, after: str = "") -> None:
    """Go to a page of the mesh at ``url`` with nothing of ours running, and run ``script`` there.

    The page needs ``bypass_csp``. ``after`` is what its address ends with, such as ``#s1``.
    """
    await page.goto("about:blank")  # another fragment alone would be no new page
    await page.goto(f"{url}/sdk/index.js{after}")
    await page.evaluate(_ROOT)
    await page.add_script_tag(content=script, type="module")
