"""Asking over HTTP, and reading no more than the beginning of an answer."""

from __future__ import annotations

import asyncio
import http.client
from typing import NamedTuple
from urllib.parse import urlsplit

_WITHIN_S = 3.0
_MOST_BYTES = 1_000_000


class Answer(NamedTuple):
    """An answer, or the reason why there is none."""

    status: int = 0
    content_type: str = ""
    body: bytes = b""
    reason: str = ""


async def get(url: str, path: str, *, most_bytes: int = _MOST_BYTES) -> Answer:
    """GET ``path`` below ``url``, and read ``most_bytes`` at most."""
    return await asyncio.to_thread(_get, url, path, most_bytes)


def _get(url: str, path: str, most_bytes: int) -> Answer:
    try:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_WITHIN_S)
    except ValueError as error:
        return Answer(reason=str(error))
    answer = Answer()
    try:
        connection.request("GET", parts.path.rstrip("/") + path)
        response = connection.getresponse()
        answer = Answer(response.status, response.getheader("Content-Type") or "")
        return answer._replace(body=response.read1(most_bytes) if most_bytes == 1 else response.read(most_bytes))
    except (OSError, http.client.HTTPException) as error:
        return answer._replace(reason=str(error) or type(error).__name__)
    finally:
        connection.close()
