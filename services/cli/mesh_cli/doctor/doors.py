"""What clients and proxies see: the API's `/readyz`, the upgrade to a WebSocket, the first byte of a stream."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Origin

from mesh_cli.doctor.finding import Finding, fine, problem, warning
from mesh_cli.doctor.web import Answer, get

_WITHIN_S = 3.0
_TOPIC = "events"


class Doors(NamedTuple):
    """What was seen through a URL; a status of 0 is no answer, 101 an upgrade."""

    ready: Answer
    stream: Answer
    socket: Answer


async def look_at_doors(url: str) -> Doors:
    """Ask through ``url`` as a browser does whose page comes from there."""
    return Doors(await get(url, "/readyz"), await get(url, f"/sse/{_TOPIC}", most_bytes=1), await _upgrade(url))


async def _upgrade(url: str) -> Answer:
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    try:
        socket_url = (
            f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{parts.path.rstrip('/')}/ws/{_TOPIC}"
        )
        async with connect(
            socket_url, origin=Origin(origin), open_timeout=_WITHIN_S, close_timeout=1, proxy=None, max_size=None
        ):
            return Answer(101)
    except InvalidStatus as error:
        return Answer(error.response.status_code, reason=f"HTTP {error.response.status_code}")
    except (
        OSError,
        TimeoutError,
        InvalidURI,
        InvalidHandshake,
        WebSocketException,
        asyncio.IncompleteReadError,
    ) as error:
        return Answer(reason=str(error) or type(error).__name__)


def judge_doors(url: str, doors: Doors) -> list[Finding]:
    """Whether clients get in."""
    return [_ready(url, doors.ready), _socket(url, doors.socket), _stream(url, doors.stream)]


def _ready(url: str, ready: Answer) -> Finding:
    if ready.status == 200:
        return fine("api", f"{url}/readyz says that it is ready")
    if ready.status == 0:
        return problem("api", f"{url} does not answer: {ready.reason}", "start an API, or say where it is with --url")
    why = ready.body.decode("utf-8", "replace")[:300]
    return problem(
        "api", f"/readyz: HTTP {ready.status} {why}", "it says why; mostly NATS is away, or it has just started"
    )


def _socket(url: str, socket: Answer) -> Finding:
    if socket.status == 101:
        return fine("websocket", f"{url}/ws/{_TOPIC} is upgraded")
    if socket.status == 401:
        return fine("websocket", "the edge answers, and asks for a token (401)")
    mends = {
        0: "start an edge (`mesh edge`, `mesh up`), say where it is with --url, or see why the proxy keeps its answer",
        200: "the proxy takes the upgrade away: see `map $http_upgrade` in deploy/nginx.conf",
        400: "the proxy takes the upgrade away: see `map $http_upgrade` in deploy/nginx.conf",
        403: "the proxy must hand on Host as it came (`$http_host`); other origins belong into MESH_ORIGINS",
        404: "no edge is behind this URL: route /ws/ and /sse/ to it, as deploy/nginx.conf does",
        426: "the proxy takes the upgrade away: see `map $http_upgrade` in deploy/nginx.conf",
        502: "the proxy finds no edge: start one, or correct its address in the proxy",
        503: "the edge is draining, or NATS is away",
    }
    seen = f"{url}/ws/{_TOPIC} is not upgraded: {socket.reason}"
    return problem("websocket", seen, mends.get(socket.status, "see the logs of the edge and of the proxy"))


def _stream(url: str, stream: Answer) -> Finding:
    if stream.status == 401:
        return fine("event stream", "the edge answers, and asks for a token (401)")
    if stream.status == 200 and stream.content_type.startswith("text/event-stream"):
        if stream.body:
            return fine("event stream", "its first byte comes at once: nothing buffers it")
        mend = "the proxy keeps it back: let it respect `X-Accel-Buffering: no`, or turn its buffering off for /sse/"
        return problem("event stream", f"it opens, and no byte comes within {_WITHIN_S:.0f} s", mend)
    seen = f"{url}/sse/{_TOPIC}: {stream.reason or f'HTTP {stream.status}, {stream.content_type}'}"
    if stream.status == 0 and "timed out" in stream.reason:
        mend = "the proxy keeps it back, or nobody answers: turn its buffering off for /sse/"
        return problem("event stream", seen, mend)
    return problem("event stream", seen, "start an edge, and route /sse/ to it, as deploy/nginx.conf does")


def judge_access(url: str, doors: Doors, key_error: str) -> list[Finding]:
    """Whether strangers may read, and whether the keys of tokens are good: ``key_error`` says what is not."""
    findings = []
    if key_error:
        findings.append(problem("token key", key_error, "make one with `openssl rand -base64 32`"))
    is_open = doors.stream.status == 200
    host = urlsplit(url).hostname or ""
    if is_open and not _is_loopback(host):
        mend = "set MESH_TOKEN_KEY for the API and all edges, and hand out tokens (`mesh token`)"
        findings.append(problem("access", f"{host} lets everybody read without a token", mend))
    elif is_open:
        findings.append(fine("access", "nobody authenticates, on loopback alone as far as --url shows"))
    elif doors.stream.status == 401:
        findings.append(fine("access", "asks for a token"))
    else:
        findings.append(warning("access", "cannot be seen: no edge answers", "see the line of the websocket"))
    return findings


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")
