"""``Forwarded`` as RFC 7239 has it, and what of it is believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_edge.forwarded import ForwardedHeaders, Hop, hops

WRITTEN = st.one_of(
    st.text(alphabet="abc.:019", min_size=1),
    st.text(alphabet='abc[]:; ,\\"=', min_size=1).map(lambda t: f'"{t}"'),
)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", [Hop("192.0.2.60", "http")]),
        ('For="[2001:db8:cafe::17]:4711"', [Hop("[2001:db8:cafe::17]:4711")]),
        ("for=192.0.2.43, for=198.51.100.17;proto=HTTPS", [Hop("192.0.2.43"), Hop("198.51.100.17", "https")]),
        ('for="_gazonk"', [Hop("_gazonk")]),
        (r'for="a\"b,c;d"', [Hop('a"b,c;d')]),
        ("proto=https", [Hop("", "https")]),
        ("", []),
        ("for=1.1.1.1;for=2.2.2.2", []),
        ("for=1.1.1.1,", []),
        ("for=1.1.1.1;", []),
        ("for", []),
        ("for= 1.1.1.1", []),
        ('for="open', []),
        ("for=1.1.1.1 for=2.2.2.2", []),
    ],
)
def test_it_is_read_as_it_is_written(said: str, read: list[Hop]) -> None:
    assert hops(said) == read


@given(st.one_of(st.text(), st.lists(WRITTEN.map(lambda value: f"for={value}")).map(",".join)))
def test_whatever_is_said_is_read_or_is_nothing(said: str) -> None:
    assert all(isinstance(hop, Hop) for hop in hops(said))


async def seen(headers: list[tuple[str, str]], *, peer: str = "10.0.0.1", trusted: str = "10.0.0.0/8") -> Any:
    """Which client and scheme the application is told."""
    told: dict[str, Any] = {}

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        told.update(scope)

    scope: Any = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    await ForwardedHeaders(app, trusted)(scope, None, None)  # type: ignore[arg-type]
    return told["client"][0], told["scheme"]


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([("forwarded", "for=192.0.2.1;proto=https")], ("192.0.2.1", "https")),
        ([("forwarded", "for=6.6.6.6, for=192.0.2.1;proto=https")], ("192.0.2.1", "https")),
        ([("forwarded", "for=192.0.2.1;proto=https, for=10.0.0.2;proto=http")], ("192.0.2.1", "https")),
        ([("forwarded", "for=6.6.6.6"), ("forwarded", "for=192.0.2.1")], ("192.0.2.1", "http")),
        ([("forwarded", 'for="[2001:db8::1]:4711"')], ("2001:db8::1", "http")),
        ([("x-forwarded-for", "6.6.6.6"), ("x-forwarded-proto", "https")], ("10.0.0.1", "http")),
        ([("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=192.0.2.1")], ("192.0.2.1", "http")),
        ([("forwarded", "nonsense")], ("10.0.0.1", "http")),
        ([], ("10.0.0.1", "http")),
    ],
)
async def test_the_client_is_the_last_that_is_no_trusted_proxy(
    headers: list[tuple[str, str]], client: tuple[str, str]
) -> None:
    assert await seen(headers) == client


async def test_who_is_no_trusted_proxy_is_not_believed() -> None:
    assert await seen([("forwarded", "for=6.6.6.6;proto=https")], peer="192.0.2.9") == ("192.0.2.9", "http")
    assert await seen([("forwarded", "for=6.6.6.6")], peer="192.0.2.9", trusted="*") == ("6.6.6.6", "http")
