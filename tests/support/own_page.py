"""A page of one's own in a real Chromium: what people paste, and nothing of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, async_playwright

from tests.support.chromium import FLAGS

CHAT = """
const ws = new WebSocket(`ws://${window.location.host}/ws/chat/${sessionId}`);

ws.onmessage = (event) => {
    const data = JSON.parse(event.data);
    if (data.event_type === 'chat.message') {
        // Add message to UI
        addMessageToDOM(data.payload.sender, data.payload.content);
    }
};
"""

EVENTS = """
const ws = new WebSocket('ws://127.0.0.1:8000/ws/events');
ws.onopen = () => console.log('Connected');
ws.onmessage = (e) => console.log('Message:', JSON.parse(e.data));
"""

PAGE = """<!doctype html><title>A page of one's own</title><ul id="log"></ul><script>
const sessionId = 'test_session';
function add(text) {
    const row = document.createElement('li');
    row.textContent = text;
    document.getElementById('log').append(row);
}
const addMessageToDOM = (sender, content) => add(`${sender}: ${content}`);
console.log = (...said) => add(said.map((s) => typeof s === 'string' ? s : JSON.stringify(s)).join(' '));
%s
ws.addEventListener('message', (e) => { document.title = JSON.parse(e.data).event_type; });
</script>"""


@asynccontextmanager
async def page_with(snippet: str, chromium: Path, url: str) -> AsyncIterator[Page]:
    """A page at `url`, the mesh, which port 8000 leads to as well; it runs nothing but ``snippet``."""
    flags = [
        *FLAGS,
        f"--host-resolver-rules=MAP 127.0.0.1:8000 {url.removeprefix('http://')}",
        "--disable-features=LocalNetworkAccessChecks",  # Playwright hands the page over, so it comes from nowhere
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=flags)
        try:
            page = await browser.new_page()
            await page.route("**/own.html", lambda route: route.fulfill(body=PAGE % snippet, content_type="text/html"))
            await page.goto(f"{url}/own.html")
            await page.wait_for_function("document.title === 'connection'")
            yield page
        finally:
            await browser.close()
