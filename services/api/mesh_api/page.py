"""The console page and the JavaScript client, as static files of this origin.

The files come from ``mesh_api/_console`` and ``mesh_api/_sdk`` in an installed wheel, else from the
repository's ``console/`` and ``sdk/js/``. They are served under a content security policy that allows
scripts and styles of this origin alone (CSP Level 3), and are revalidated on every use (RFC 9110, 13.1.2),
so a new version shows at the next load and an unchanged one costs a 304. Browsers that take gzip (RFC 9110, 12.5.3)
get files compressed, once for each version of a file.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response

from daena_mesh.errors import MeshError

CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""What is served at all: a file with another suffix does not exist for a browser."""

_SOURCES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}

CONTENT_SECURITY_POLICY: Final = "; ".join(f"{name} {value}" for name, value in _SOURCES.items())

PERMISSIONS_POLICY: Final = ", ".join(
    f"{feature}=()"
    for feature in ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb")
)
"""The page asks for none of these, and neither may what it might ever embed."""

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": PERMISSIONS_POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

PART_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Of scripts and styles: they stand in a document, whose own headers count there, and there are many of them."""

_DOCUMENTS: Final = ("text/html", "image/svg+xml")
"""What a browser opens as a document of its own."""

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_ENTITY_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')
_GZIP: Final = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?(?=,|$)", re.IGNORECASE)
_MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it goes to a browser: its bytes, media type and strong entity tag (quotes included)."""

    body: bytes
    content_type: str
    etag: str
    packed: bytes
    """The same, compressed."""
    packed_etag: str


class Folder:
    """Files under one root, by name. Nothing outside the root is reachable, not through a link either."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._read: dict[str, tuple[tuple[int, int], Asset]] = {}

    def asset(self, name: str) -> Asset | None:
        """Return the file called ``name`` (``/`` between folders), or None where there is no such file."""
        segments = name.split("/")
        if len(segments) > _MAX_DEPTH or not all(_SEGMENT.fullmatch(segment) for segment in segments):
            return None
        path = self._root.joinpath(*segments)
        content_type = CONTENT_TYPES.get(path.suffix)
        if content_type is None:
            return None
        try:
            if not path.resolve().is_relative_to(self._root) or not path.is_file():
                return None
            status = path.stat()
            version = (status.st_mtime_ns, status.st_size)
            known = self._read.get(name)
            if known is not None and known[0] == version:
                return known[1]
            body = path.read_bytes()
        except OSError:
            return None
        digest = hashlib.sha256(body).hexdigest()[:20]
        asset = Asset(body, content_type, f'"{digest}"', gzip.compress(body, 9, mtime=0), f'"{digest}-gzip"')
        self._read[name] = (version, asset)
        return asset


def is_fresh(if_none_match: str | None, etag: str) -> bool:
    """Say whether a browser's ``If-None-Match`` (RFC 9110, 13.1.2; weak comparison) covers ``etag``."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _ENTITY_TAG.findall(if_none_match)


def takes_gzip(accept_encoding: str | None) -> bool:
    """Say whether a browser's ``Accept-Encoding`` has gzip with a weight above 0."""
    found = _GZIP.search(accept_encoding or "")
    return found is not None and (found[1] is None or found[1].strip("0.") != "")


def find_folder(packaged: str, *in_repository: str) -> Folder:
    """Find a folder of the page: inside this package, else in the repository this module lies in.

    Raises:
        MeshError: neither is there, so this installation has no page to serve.
    """
    here = Path(__file__).resolve().parent
    candidates = (here / packaged, here.parents[2].joinpath(*in_repository))
    for candidate in candidates:
        if candidate.is_dir():
            return Folder(candidate)
    raise MeshError("the page's files are missing: looked in " + " and ".join(str(path) for path in candidates))


def _respond(request: Request, asset: Asset | None) -> Response:
    if asset is None:
        raise HTTPException(status_code=404, detail="There is no such file on this page.")
    is_packed = takes_gzip(request.headers.get("accept-encoding"))
    etag = asset.packed_etag if is_packed else asset.etag
    security = SECURITY_HEADERS if asset.content_type.startswith(_DOCUMENTS) else PART_HEADERS
    headers = {**security, "ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if is_fresh(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.packed if is_packed else asset.body, media_type=asset.content_type, headers=headers)


def page_router(console: Folder | None = None, sdk: Folder | None = None) -> APIRouter:
    """Build the routes of the page: ``/``, ``/console/…`` and ``/sdk/…``.

    Args:
        console: the page's files; where they lie is found out when left out.
        sdk: the JavaScript client's files; likewise.

    Raises:
        MeshError: the files are neither packaged nor in a repository around this module.
    """
    console = console or find_folder("_console", "console")
    sdk = sdk or find_folder("_sdk", "sdk", "js")
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    def index(request: Request) -> Response:
        return _respond(request, console.asset("index.html"))

    @router.api_route("/console/{name:path}", methods=["GET", "HEAD"])
    def console_file(request: Request, name: str) -> Response:
        if name in {"", "index.html"}:
            # The page stands at one address only: what it links to is relative to it.
            return Response(status_code=308, headers={**SECURITY_HEADERS, "Location": "../"})
        return _respond(request, console.asset(name))

    @router.api_route("/sdk/{name:path}", methods=["GET", "HEAD"])
    def sdk_file(request: Request, name: str) -> Response:
        return _respond(request, sdk.asset(name))

    return router
