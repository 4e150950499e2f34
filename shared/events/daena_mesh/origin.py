"""Decide whether the page that opens a WebSocket, or asks the API, may.

Browsers let any page open a WebSocket to any server, and send it simple requests, cookies and all, and name the
page's origin (RFC 6454). Only the server can refuse it.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from daena_mesh.errors import ConfigurationError
from daena_mesh.tokens import TokenSettings

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_CHARS = 300
_MOST_KNOWN = 256
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_AUTHORITY = re.compile(
    rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{{0,4}}))?", re.ASCII
)
# Pages inside applications have schemes of their own, such as tauri://localhost.
_ALLOWED = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9_.:\[\]-]+", re.ASCII)


class OriginSettings(TokenSettings, frozen=True, kw_only=True):
    """Whose pages are let in."""

    origins: Annotated[
        str,
        Meta(description="Origins of pages that may open a WebSocket, or ask the API, beside the own one, by commas."),
    ] = ""
    open_loopback: Annotated[
        bool,
        Meta(description="Nobody authenticates: pages on any loopback name may come, and tools without an origin."),
    ] = True
    trusted_proxies: Annotated[
        str,
        Meta(
            description="Addresses and networks of the proxies whose `X-Forwarded-For` is believed, by commas; `*`: "
            "whoever connects."
        ),
    ] = "127.0.0.1"
    handshake_within_s: Annotated[
        float,
        Meta(gt=0, le=300, description="How long the head of a request or handshake may take, in seconds; then 408."),
    ] = 10.0
    proxy_header: Annotated[
        Literal["x-forwarded-for", "forwarded"],
        Meta(
            description="The header in which these proxies say who a client is: `x-forwarded-for`, or `forwarded` "
            "(RFC 7239). The other one is read from nobody."
        ),
    ] = "x-forwarded-for"

    def listed_origins(self) -> frozenset[str]:
        """`origins`, taken apart."""
        return frozenset(filter(None, (origin.strip() for origin in self.origins.split(","))))


class _Authority(NamedTuple):
    host: str
    port: int | None


class OriginPolicy:
    """Which pages may open a WebSocket.

    Args:
        allow: the exact origins that may, beside the edge's own, as browsers write them:
            ``https://app.example``, no path, no default port.
        open_loopback: nobody authenticates, and the edge listens on loopback alone: pages of any loopback
            name and port may come, and tools that name no origin. The ``Host`` must be a loopback name as
            well, for a page whose own name was rebound to 127.0.0.1 brings that name along.
        tools: whoever names no origin may come, since it is no browser, and somebody else asks it who it is.

    Raises:
        ConfigurationError: an entry of `allow` is no origin that a browser would send.
    """

    __slots__ = ("_allow", "_known", "_open_loopback", "_tools")

    def __init__(
        self, allow: frozenset[str] = frozenset(), *, open_loopback: bool = False, tools: bool = False
    ) -> None:
        for origin in sorted(allow):
            _check_allowed(origin)
        self._allow = allow
        self._open_loopback = open_loopback
        self._tools = tools
        self._known: dict[tuple[str | None, str | None], bool] = {}
        """What was decided: a few pages serve thousands."""

    def allows(self, origin: str | None, host: str | None) -> bool:
        """Whether a handshake may go on.

        Args:
            origin: the ``Origin`` header, ``None`` without one; several, joined by commas, are refused.
            host: the ``Host`` header, the same.
        """
        if len(origin or "") > _MAX_CHARS or len(host or "") > _MAX_CHARS:
            return self._judge(origin, host)
        asked = origin, host
        if (known := self._known.get(asked)) is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[asked] = self._judge(origin, host)
        return known

    def _judge(self, origin: str | None, host: str | None) -> bool:
        if origin is not None and origin in self._allow:
            return True
        served = _authority(host.lower()) if host is not None else None
        if served is None or (self._open_loopback and not _is_loopback(served.host)):
            return False
        if origin is None:
            return self._open_loopback or self._tools
        scheme, page = _web_origin(origin)
        if page is None:
            return False
        if self._open_loopback and _is_loopback(page.host):
            return True
        default_port = _DEFAULT_PORTS[scheme]
        return page.host == served.host and (page.port or default_port) == (served.port or default_port)


def _check_allowed(origin: str) -> None:
    scheme = origin.partition("://")[0]
    fits = _web_origin(origin)[1] is not None if scheme in _DEFAULT_PORTS else _ALLOWED.fullmatch(origin)
    if not fits:
        raise ConfigurationError(f"{origin!r} is no origin: give it as browsers send it, such as https://app.example")


def _web_origin(origin: str) -> tuple[str, _Authority | None]:
    """The scheme and what follows it; ``None`` unless it is as browsers write it, RFC 6454 section 6.1."""
    scheme, _, rest = origin.partition("://")
    if scheme not in _DEFAULT_PORTS:
        return scheme, None
    authority = _authority(rest)
    if authority is not None and authority.port == _DEFAULT_PORTS[scheme]:
        return scheme, None
    return scheme, authority


def _authority(text: str) -> _Authority | None:
    found = _AUTHORITY.fullmatch(text) if len(text) <= _MAX_CHARS else None
    if found is None:
        return None
    host, port = found["host"], int(found["port"] or 0)
    if port > 0xFFFF or not _is_host(host):
        return None
    return _Authority(host, port or None)


def _is_host(host: str) -> bool:
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
        elif host.rpartition(".")[2].isdecimal():
            # To browsers a name that ends in a number is an address; they never send 127.1 or 010.0.0.1.
            IPv4Address(host)
    except AddressValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    """Localhost and its subdomains (RFC 6761 section 6.3), 127.0.0.0/8 and ::1."""
    if host == "localhost" or host.endswith(".localhost") or host == "[::1]":
        return True
    try:
        return IPv4Address(host).is_loopback
    except AddressValueError:
        return False
