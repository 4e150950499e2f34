"""Fetching a small document: from where it is configured, in time, within a bound."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import ConfigurationError
from daena_mesh.fetching import FetchFailed, checked_url, fetch, read_answer
from tests.support.deadlines import within
from tests.support.signers import KeyServer, certificate, key_server


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example/keys",
        "https://10.0.0.1:8443/k?x=1",
        "http://127.0.0.1:1/",
        "http://localhost",
        "http://[::1]/k",
    ],
)
def test_https_may_go_anywhere_and_http_stays_on_the_machine(url: str) -> None:
    checked_url(url)


@pytest.mark.promise("P-TOKEN-10")
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://login.example/keys", "must be https"),
        ("http://127.0.0.1.evil.example/", "must be https"),
        ("file:///etc/passwd", "no URL"),
        ("ftp://login.example/keys", "must be https"),
        ("//login.example/keys", "must be https"),
        ("https://", "no URL"),
        ("https://user:s3cr3t@login.example/keys", "no user"),
        ("https://login.example/a b", "no URL"),
        ("https://login.example/\r\nX: y", "no URL"),
        ("https://login.example:x/", "no URL"),
        ("https://[::1/", "no URL"),
        ("https://login.example/" + "x" * 2_048, "no URL"),
    ],
)
def test_other_addresses_are_refused_and_not_shown(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        checked_url(url)
    assert "s3cr3t" not in str(caught.value)


async def failure(server: KeyServer, **options: float) -> str:
    async with within():
        with pytest.raises(FetchFailed) as caught:
            await fetch(server.url, **options)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.promise("P-TOKEN-10")
async def test_what_is_fetched_is_bounded_in_size_and_time() -> None:
    async with key_server() as server:
        server.say(b"x" * 1_000)
        assert await fetch(server.url) == b"x" * 1_000
        assert "more than 900 bytes" in await failure(server, most_bytes=900)
        server.answer = b"HTTP/1.1 200 OK\r\n" + b"x-y: z\r\n" * 100_000
        assert "more than 262,144 bytes" in await failure(server)
        server.answer, server.ends = b"HTTP/1.1 200 OK\r\ncontent-", False
        assert "more than 0.2 s" in await failure(server, within_s=0.2)
        server.may_answer.clear()
        assert "more than 0.2 s" in await failure(server, within_s=0.2)
    assert await failure(server)  # nobody is there any more


@pytest.mark.promise("P-TOKEN-10")
async def test_redirects_stay_in_their_scheme_and_end() -> None:
    async with key_server() as server, key_server() as other:
        other.say(b"found")
        for status in ("301 x", "302 x", "303 x", "307 x", "308 x"):
            server.say(b"", status, Location=other.url)
            assert await fetch(server.url) == b"found"
        for location in ("https://127.0.0.1/", "file:///etc/passwd", "ftp://x/"):
            server.say(b"", "302 Found", Location=location)
            assert await failure(server) == "it redirects to another scheme"
        server.say(b"", "302 Found", Location="http://login.example/keys")
        assert "must be https" in await failure(server)
        server.say(b"", "302 Found", Location="/again")
        server.asked.clear()
        assert await failure(server) == "HTTP 302"
        assert [head.split(b" ")[1] for head in server.asked] == [b"/jwks.json", b"/again", b"/again", b"/again"]


@pytest.mark.promise("P-TOKEN-10")
async def test_a_server_has_to_prove_who_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tls, believed = certificate(tmp_path)
    async with key_server() as plain, key_server(tls=tls) as server:
        server.say(b"proven")
        assert "CERTIFICATE_VERIFY_FAILED" in await failure(server)
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(believed))
        assert await fetch(server.url) == b"proven"
        with pytest.raises(FetchFailed, match=r"(?i)hostname|IP address mismatch"):
            await fetch(server.url.replace("127.0.0.1", "localhost"))
        server.say(b"", "302 Found", Location=plain.url)
        assert await failure(server) == "it redirects to another scheme"
        assert plain.asked == []


async def test_other_answers_than_200_are_none() -> None:
    async with key_server() as server:
        for status in ("204 x", "404 x", "500 x"):
            server.say(b"", status)
            assert await failure(server) == f"HTTP {status[:3]}"
        server.say(b"{}", Content_Encoding="gzip")
        assert "compressed" in await failure(server)
        server.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        assert await fetch(server.url) == b"abc"
        for cut in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", server.answer[:-9]):
            server.answer = cut
            assert "does not speak HTTP" in await failure(server)


@given(
    st.binary(max_size=80),
    st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"]),
)
def test_whatever_is_answered_is_read_or_refused(rest: bytes, head: bytes) -> None:
    with suppress(FetchFailed):
        read_answer(head + rest)
