"""Only pages that may open a WebSocket get to; whoever is refused stays refused, whatever the disguise."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import ConfigurationError
from daena_mesh.origin import OriginPolicy

SAME = OriginPolicy()
OPEN = OriginPolicy(open_loopback=True)
LISTED = OriginPolicy(frozenset({"https://app.example", "tauri://localhost"}))

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=3).map(".".join).filter(lambda name: not name[-1].isdecimal())
ports = st.integers(1, 65_535).filter(lambda port: port not in (80, 443))
loopback_hosts = st.one_of(
    st.sampled_from(["localhost", "127.0.0.1", "[::1]", "127.255.255.254"]),
    labels.map(lambda label: f"{label}.localhost"),
    st.integers(0, 255).map(lambda last: f"127.0.0.{last}"),
)
optional_ports = st.one_of(st.just(""), ports.map(lambda port: f":{port}"))
schemes = st.sampled_from(["http", "https"])
foreign_names = names.filter(lambda name: name != "localhost" and not name.endswith(".localhost"))

DISGUISES = [
    "",
    " ",
    "null",
    "*",
    "localhost",
    "localhost:8000",
    "//localhost",
    "http://",
    "http://localhost/",
    "http://localhost?",
    "http://localhost#",
    "http://localhost:",
    "http://localhost:0",
    "http://localhost:080",
    "http://localhost:80",
    "https://localhost:443",
    "http://localhost:65536",
    "http://localhost:99999",
    "http://localhost:8000:8000",
    "http://localhost:٨",
    "http://localhost.",
    "http://localhost.:8000",
    "http://.localhost",
    "http://a..localhost",
    "http://-.localhost",
    "HTTP://localhost",
    "http://LOCALHOST",
    "http://Localhost:8000",
    "http://user@localhost",
    "http://user:secret@localhost",
    "http://localhost@evil.com",
    "http://localhost:8000@evil.com",
    "http://evil.com@localhost",
    "http://evil.com#localhost",
    "http://evil.com/localhost",
    "http://evil.com\\localhost",
    "http://localhost\\evil.com",
    "http://localhost evil.com",
    "http://localhost, http://localhost",
    "http://localhost\n",
    "http://localhost\x00",
    "http://l\u03bfcalhost",
    "http://localhost.evil.com",
    "http://127.0.0.1.evil.com",
    "http://evillocalhost",
    "http://localhost-evil.com",
    "http://localhostevil.com",
    "http://127.0.0.1.nip.io",
    "http://127.1",
    "http://127.0.0.01",
    "http://0177.0.0.1",
    "http://2130706433",
    "http://0x7f.0.0.1",
    "http://0x7f000001",
    "http://128.0.0.1",
    "http://0.0.0.0",
    "http://[::]",
    "http://[::2]",
    "http://[::1",
    "http://::1",
    "http://[::1]evil.com",
    "http://[::ffff:127.0.0.1]",
    "http://[0:0:0:0:0:0:0:1]",
    "http://[fe80::1%25lo]",
    "http://[localhost]",
    "ws://localhost",
    "wss://localhost",
    "ftp://localhost",
    "file://localhost",
    "file://",
    "javascript://localhost",
    "chrome-extension://localhost",
    "http:localhost",
    "http:/localhost",
    "http:///localhost",
    " http://localhost",
    "http://" + "a" * 400 + ".localhost",
]


@pytest.mark.parametrize("origin", DISGUISES)
def test_disguises_are_refused(origin: str) -> None:
    assert not OPEN.allows(origin, "localhost:8000")
    assert not OPEN.allows(origin, "127.0.0.1:8000")
    assert not SAME.allows(origin, "mesh.example:8000")
    assert not LISTED.allows(origin, "mesh.example")


@pytest.mark.parametrize(
    "origin",
    ["http://localhost.", "http://LOCALHOST", "http://localhost:80", "null", "http://127.1", "http://010.0.0.1"]
    + [f"http://[{literal}]" for literal in ("::g", ":::", "1", "127.0.0.1", "::1::", "::1:")]
    + ["http://mesh.example:65536", "http://mesh..example", "http://-mesh.example", "http://mesh-.example"]
    + [f"http://{'a' * 301}"],
)
def test_what_no_browser_writes_is_not_the_same_origin_either(origin: str) -> None:
    assert not SAME.allows(origin, origin.removeprefix("http://"))


@given(schemes, loopback_hosts, optional_ports, loopback_hosts, optional_ports)
def test_open_on_loopback_any_loopback_page_comes(
    scheme: str, page: str, page_port: str, served: str, served_port: str
) -> None:
    assert OPEN.allows(f"{scheme}://{page}{page_port}", served + served_port)
    assert OPEN.allows(None, served + served_port)


@pytest.mark.promise("P-ORIGIN-1")
@given(schemes, foreign_names, optional_ports, loopback_hosts)
def test_open_on_loopback_no_foreign_page_comes(scheme: str, page: str, port: str, served: str) -> None:
    assert not OPEN.allows(f"{scheme}://{page}{port}", served + port)


@given(schemes, foreign_names, optional_ports)
def test_a_rebound_name_is_refused(scheme: str, name: str, port: str) -> None:
    """The page of evil.example, whose name now means 127.0.0.1, is of the same origin as what it asks for."""
    assert not OPEN.allows(f"{scheme}://{name}{port}", name + port)
    assert not OPEN.allows(f"{scheme}://localhost{port}", name + port)
    assert not OPEN.allows(None, name + port)


@pytest.mark.parametrize("host", [None, "", "127.1", "localhost.", "localhost:0", "user@localhost", "localhost, a"])
def test_open_on_loopback_the_host_is_well_formed(host: str | None) -> None:
    assert not OPEN.allows("http://localhost:8000", host)
    assert not OPEN.allows(None, host)


def test_a_host_may_be_written_in_any_case_and_with_its_default_port() -> None:
    assert OPEN.allows("http://localhost:8000", "LocalHost:8000")
    assert SAME.allows("https://mesh.example", "Mesh.Example:443")
    assert SAME.allows("http://mesh.example", "mesh.example:80")


@given(schemes, st.one_of(names, loopback_hosts), optional_ports)
def test_the_same_origin_comes(scheme: str, host: str, port: str) -> None:
    assert SAME.allows(f"{scheme}://{host}{port}", host + port)


@pytest.mark.promise("P-ORIGIN-1")
@given(schemes, names, names, optional_ports, optional_ports)
def test_another_origin_does_not(scheme: str, page: str, served: str, port: str, served_port: str) -> None:
    same = (page, port) == (served, served_port)
    assert SAME.allows(f"{scheme}://{page}{port}", served + served_port) is same


def test_ports_tell_origins_apart() -> None:
    assert not SAME.allows("https://mesh.example", "mesh.example:80")
    assert not SAME.allows("http://mesh.example", "mesh.example:443")
    assert not SAME.allows("http://mesh.example:8001", "mesh.example:8000")
    assert not SAME.allows("http://mesh.example:8001", "mesh.example")


def test_without_an_origin_only_the_open_loopback_lets_in() -> None:
    assert not SAME.allows(None, "mesh.example")
    assert not LISTED.allows(None, "localhost:8000")
    assert OPEN.allows(None, "localhost:8000")


@pytest.mark.parametrize("host", ["mesh.example", "localhost:8000", None, "not a host"])
def test_listed_origins_come_exactly(host: str | None) -> None:
    for policy in (LISTED, OriginPolicy(frozenset({"https://app.example"}), open_loopback=True)):
        assert policy.allows("https://app.example", host)
        for near in (
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.",
            "https://app.example/",
            "https://APP.example",
            "https://www.app.example",
            "https://app.example.evil.com",
            "https://app.example@evil.com",
        ):
            assert not policy.allows(near, host)
    assert LISTED.allows("tauri://localhost", host)


def test_beside_a_list_the_same_origin_comes_too() -> None:
    assert LISTED.allows("https://mesh.example", "mesh.example")


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "null",
        "",
        "app.example",
        "https://app.example/",
        "https://*.example",
        "https://app.example:443",
        "https://APP.example",
        "https://user@app.example",
        "https://",
        "tauri://",
        "tauri://localhost/index.html",
    ],
)
def test_a_list_holds_origins_as_browsers_send_them(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="is no origin: give it as browsers send it"):
        OriginPolicy(frozenset({entry}))


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_makes_it_raise_or_lets_a_stranger_in(origin: str, host: str) -> None:
    if OPEN.allows(origin, host):
        name = urlsplit(origin).hostname or ""
        assert name == "localhost" or name.endswith(".localhost") or name == "::1" or name.startswith("127.")
    if SAME.allows(origin, host):
        assert urlsplit(origin).netloc.removesuffix(":80").removesuffix(":443") in host.lower()


@given(st.sampled_from(["localhost", "127.0.0.1", "[::1]"]), st.text(min_size=1, max_size=12), st.booleans())
def test_nothing_hangs_on_to_a_loopback_name(name: str, more: str, before: bool) -> None:
    """Only a port may follow it, and only a label precede it."""
    host = more + name if before else name + more
    if OPEN.allows(f"http://{host}", "localhost"):
        parsed = urlsplit(f"http://{host}")
        assert parsed.hostname is not None
        if before:
            # The one way in front: another label, or more digits of the same loopback address.
            assert parsed.hostname.endswith(".localhost") or parsed.hostname.startswith("127.")
        else:
            assert parsed.port is not None or parsed.hostname.startswith("127.")
