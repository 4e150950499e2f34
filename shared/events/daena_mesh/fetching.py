"""One small document from an address that was configured: bounded in time and size, and never by a weaker scheme.

Without a library for HTTP: the whole answer is read, up to a bound, and then parsed by the standard library.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
from io import BytesIO
from ipaddress import ip_address
from typing import Any, NamedTuple, cast
from urllib.parse import SplitResult, urljoin, urlsplit

from daena_mesh.errors import ConfigurationError

WITHIN_S = 5.0
MOST_BYTES = 262_144
_MOST_REDIRECTS = 3
_MOST_URL = 2_048
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class FetchFailed(Exception):
    """It was not to be had; one sentence says why."""


class Answer(NamedTuple):
    """What a server says."""

    status: int
    location: str
    body: bytes


def checked_url(url: str) -> SplitResult:
    """Read an address: https, or http where that does not leave the machine; raises `ConfigurationError`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError("it is no URL") from None
    if not host or len(url) > _MOST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError("it is no URL")
    if "@" in parts.netloc:
        raise ConfigurationError("it must name no user and no password")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationError("it must be https, or http on loopback: who changes keys on their way lets anybody in")
    return parts


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def fetch(url: str, *, within_s: float = WITHIN_S, most_bytes: int = MOST_BYTES) -> bytes:
    """GET ``url``, and follow redirects of the same scheme; raises `FetchFailed`."""
    try:
        async with asyncio.timeout(within_s):
            parts = checked_url(url)
            tls = await asyncio.to_thread(ssl.create_default_context) if parts.scheme == "https" else None
            for _ in range(_MOST_REDIRECTS + 1):
                answer = read_answer(await _ask(parts, tls, most_bytes))
                if answer.status not in _REDIRECTS:
                    break
                url = urljoin(url, answer.location)
                if urlsplit(url).scheme != parts.scheme:
                    raise FetchFailed("it redirects to another scheme")
                parts = checked_url(url)
    except TimeoutError:
        raise FetchFailed(f"it took more than {within_s:g} s") from None
    except (OSError, ValueError, ConfigurationError) as error:
        raise FetchFailed(str(error) or type(error).__name__) from None
    if answer.status != 200:
        raise FetchFailed(f"HTTP {answer.status}")
    return answer.body


async def _ask(parts: SplitResult, tls: ssl.SSLContext | None, most_bytes: int) -> bytes:
    port = parts.port or (443 if tls else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("ascii"))
        said = b""
        while piece := await reader.read(65_536):
            said += piece
            if len(said) > most_bytes:
                raise FetchFailed(f"it says more than {most_bytes:,} bytes")
        return said
    finally:
        writer.transport.abort()


class _Said:
    """What `http.client` takes for a socket."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def makefile(self, *_: Any) -> BytesIO:
        """What was read from it."""
        return BytesIO(self._said)


def read_answer(said: bytes) -> Answer:
    """Parse an answer of HTTP/1 that has come to its end; raises `FetchFailed`."""
    try:
        response = http.client.HTTPResponse(cast("Any", _Said(said)), method="GET")
        response.begin()
        if response.getheader("Content-Encoding", "identity").lower() != "identity":
            raise FetchFailed("it is compressed, which nobody asked for")
        return Answer(response.status, response.getheader("Location", ""), response.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise FetchFailed(f"it does not speak HTTP as it should: {type(error).__name__}") from None
