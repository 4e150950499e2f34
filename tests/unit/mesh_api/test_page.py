"""The page's files: what is served, how it is revalidated, and what stays out of reach."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from daena_mesh.errors import MeshError
from mesh_api.page import CONTENT_SECURITY_POLICY, Folder, find_folder, is_fresh, page_router, takes_gzip

Client = httpx.AsyncClient


@pytest.fixture
def root(tmp_path: Path) -> Path:
    console, sdk = tmp_path / "console", tmp_path / "sdk"
    (console / "parts").mkdir(parents=True)
    sdk.mkdir()
    (console / "index.html").write_text("<!doctype html>")
    (console / "app.js").write_text("export {};")
    (console / "style.css").write_text("a{}")
    (console / "icon.svg").write_text("<svg/>")
    (console / "parts" / "list.js").write_text("export const list = [];")
    (console / "notes.txt").write_text("not for browsers")
    (console / ".hidden.js").write_text("no")
    (sdk / "mesh.js").write_text("export const connect = 1;")
    (tmp_path / "secret.js").write_text("secret")
    return tmp_path


@pytest.fixture
def client(root: Path) -> Client:
    app = FastAPI()
    app.include_router(page_router(Folder(root / "console"), Folder(root / "sdk")))
    return Client(transport=httpx.ASGITransport(app), base_url="http://mesh")


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/console/app.js", "text/javascript; charset=utf-8"),
        ("/console/style.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
        ("/console/parts/list.js", "text/javascript; charset=utf-8"),
        ("/sdk/mesh.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_serves_with_its_type(client: Client, path: str, content_type: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (200, content_type)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", ["/", "/console/icon.svg"])
async def test_documents_are_shut_in(client: Client, path: str) -> None:
    response = await client.get(path)
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["referrer-policy"] == "same-origin"
    assert response.headers["x-frame-options"] == "DENY"
    assert "camera=()" in response.headers["permissions-policy"]


def test_policy_allows_nothing_inline() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "script-src 'self';" in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY
    assert "require-trusted-types-for 'script'" in CONTENT_SECURITY_POLICY


async def test_head_has_no_body(client: Client) -> None:
    response = await client.head("/sdk/mesh.js", headers={"Accept-Encoding": "identity"})
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "25"


async def test_unchanged_file_is_not_sent_again(client: Client, root: Path) -> None:
    first = await client.get("/console/app.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get("/console/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    (root / "console" / "app.js").write_text("export const changed = 1;")
    changed = await client.get("/console/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status_code, changed.text) == (200, "export const changed = 1;")
    assert changed.headers["etag"] != first.headers["etag"]


async def test_it_is_compressed_for_whoever_takes_that(client: Client, root: Path) -> None:
    text = "export const long = 1;" * 100
    (root / "console" / "app.js").write_text(text)
    packed = await client.get("/console/app.js", headers={"Accept-Encoding": "gzip, br"})
    plain = await client.get("/console/app.js", headers={"Accept-Encoding": "identity"})
    assert (packed.text, plain.text) == (text, text)
    assert (packed.headers["content-encoding"], plain.headers.get("content-encoding")) == ("gzip", None)
    assert int(packed.headers["content-length"]) < 200
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    again = await client.get(
        "/console/app.js", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        (None, False),
        ("", False),
        ("br", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5, br", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, br", False),
        ("*", True),
        ("notgzip", False),
        ("identity;q=1, *;q=0", False),
    ],
)
def test_takes_gzip(header: str | None, *, takes: bool) -> None:
    assert takes_gzip(header) is takes


@pytest.mark.parametrize(
    ("header", "fresh"),
    [
        (None, False),
        ("", False),
        ("*", True),
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ('"b"', False),
        ("a", False),
    ],
)
def test_is_fresh(header: str | None, *, fresh: bool) -> None:
    assert is_fresh(header, '"a"') is fresh


@pytest.mark.parametrize(
    "name",
    [
        "../secret.js",
        "..",
        "parts/../../secret.js",
        "..\\secret.js",
        "/app.js",
        "//app.js",
        "./app.js",
        "/etc/passwd",
        ".hidden.js",
        "notes.txt",
        "parts",
        "parts/",
        "app.js/",
        "app.js\0.css",
        "app.js\n",
        "a/b/c/d/e.js",
        "x" * 300 + ".js",
        "é.js",
        "",
        "absent.js",
    ],
)
def test_nothing_else_is_reachable(root: Path, name: str) -> None:
    assert Folder(root / "console").asset(name) is None


async def test_an_encoded_way_out_is_refused(client: Client) -> None:
    response = await client.get("/console/..%2fsecret.js")
    assert response.status_code == 404
    assert "secret" not in response.text


async def test_a_link_out_of_the_folder_is_not_followed(client: Client, root: Path) -> None:
    (root / "console" / "link.js").symlink_to(root / "secret.js")
    assert (await client.get("/console/link.js")).status_code == 404


@pytest.mark.parametrize("path", ["/console/", "/console/index.html"])
async def test_the_page_has_one_address(client: Client, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.headers["location"]) == (308, "../")


async def test_finds_the_real_files() -> None:
    app = FastAPI()
    app.include_router(page_router())
    async with Client(transport=httpx.ASGITransport(app), base_url="http://mesh") as client:
        assert "<title>" in (await client.get("/")).text
        assert "export" in (await client.get("/sdk/mesh.js")).text


def test_missing_files_are_named() -> None:
    with pytest.raises(MeshError, match=r"the page's files are missing: looked in .*_nowhere"):
        find_folder("_nowhere", "nowhere")
