"""Request targets and hosts that no browser sends, as bytes, to a whole mesh."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.deadlines import within
from tests.support.running_mesh import RunningMesh

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAYS_OUT = [
    *("/console/../pyproject.toml", "/console/../../../../etc/passwd", "/console/..%2f..%2fetc%2fpasswd"),
    *("/console/%2e%2e/%2e%2e/etc/passwd", "/console/%252e%252e%252fetc%252fpasswd", "/console/..\\..\\etc\\passwd"),
    *("/console/....//....//etc/passwd", "/console//etc/passwd", "/console/%00/etc/passwd", "/console/app.js%00.css"),
    *("/sdk/../console/index.html", "/sdk/..;/console/app.js", "/sdk/%c0%ae%c0%ae/etc/passwd", "/console/package.json"),
    *("/console/.git/config", "/sdk/package.json", "//etc/passwd", "/console/app.js/", "/console/~root/.ssh/id_rsa"),
]
READ = "/api/v1/chat-history/sessions"


async def answer(mesh: RunningMesh, target: str, *lines: str, version: str = "1.1") -> tuple[int, bytes]:
    """Ask as it stands; the status, 0 where the connection is just closed, and all that was said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", mesh.port)
    head = "\r\n".join([f"GET {target} HTTP/{version}", *lines, "Connection: close", "", ""])
    try:
        async with within():
            writer.write(head.encode("latin-1"))
            said = await reader.read()
    finally:
        writer.close()
    return (int(said.split(b" ", 2)[1]) if said else 0), said


@pytest.mark.parametrize("target", WAYS_OUT)
async def test_no_path_leads_out_of_the_pages_files(shared_mesh: RunningMesh, target: str) -> None:
    status, said = await answer(shared_mesh, target, "Host: localhost")
    assert status in {400, 404}, said[:300]
    assert b"root:" not in said
    assert b"Traceback" not in said


@pytest.mark.promise("P-ORIGIN-2")
@pytest.mark.parametrize(
    ("target", "lines", "version"),
    [
        (READ, ["Host: evil.example"], "1.1"),
        (READ, ["Host: localhost", "Host: evil.example"], "1.1"),
        (READ, ["Host: evil.example", "Host: localhost"], "1.1"),
        (READ, ["Host: localhost, evil.example"], "1.1"),
        (READ, ["Host: localhost:99999"], "1.1"),
        (READ, ["Host: localhost/"], "1.1"),
        (READ, ["Host: evil.example", "X-Forwarded-Host: localhost", "Forwarded: host=localhost"], "1.1"),
        (READ, [], "1.0"),
        ("/api/v1/%63hat-history/sessions", ["Host: evil.example"], "1.1"),
        (f"http://localhost{READ}", ["Host: evil.example"], "1.1"),
        (f"/{READ}", ["Host: evil.example"], "1.1"),
        ("/API/v1/chat-history/sessions", ["Host: evil.example"], "1.1"),
    ],
)
async def test_no_host_but_a_loopback_one_is_shown_a_session(
    shared_mesh: RunningMesh, target: str, lines: list[str], version: str
) -> None:
    status, said = await answer(shared_mesh, target, *lines, version=version)
    assert status in {400, 403, 404}, said[:300]
    assert b'"sessions"' not in said
    assert (await answer(shared_mesh, READ, "Host: localhost"))[0] == 200
