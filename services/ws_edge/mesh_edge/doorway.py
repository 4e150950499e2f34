"""Where the lean door leads: to the edge of the application, if nothing else stands before its routes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

from fastapi import FastAPI
from starlette.routing import NoMatchFound
from uvicorn import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from daena_mesh.errors import MeshError
from mesh_edge.credentials import Knock
from mesh_edge.edge import Edge
from mesh_edge.follow import Follow, follow_of
from mesh_edge.forwarded import ForwardedHeaders
from mesh_edge.handshake import Handshake
from mesh_edge.protocol import HandoverProtocol
from mesh_edge.router import websocket_router
from mesh_edge.topic_name import COUNCIL, EVENTS, topic_of

_ASKED = frozenset({"since", "history", "types", "who"})


class Request(NamedTuple):
    """A handshake that an edge can answer."""

    follow: Follow | None
    """None: its messages will name its topics."""
    knock: Knock
    key: str
    """``Sec-WebSocket-Key``."""


class Doorway(NamedTuple):
    """The way to an edge."""

    edge: Edge
    proxies: ProxyHeadersMiddleware | None
    """Knows whose ``X-Forwarded-For``, or ``Forwarded``, to believe."""

    def request(self, handshake: Handshake, transport: asyncio.Transport) -> Request | None:
        """What is asked for; None where FastAPI is to judge it."""
        query = handshake.query
        asked = dict(parse_qsl(query, keep_blank_values=True)) if query else None
        if asked and not asked.keys() <= _ASKED:
            return None
        follow = None
        if (path := handshake.path) != "/ws":
            kind, slash, ident = path.removeprefix("/ws/").partition("/")
            if slash:
                if kind not in {"chat", "agent"}:
                    return None
                kind = f"{kind}_{ident}"
            elif kind not in {EVENTS, COUNCIL}:
                return None
            try:
                follow = follow_of(kind, asked) if asked else Follow(topic_of(kind))
            except MeshError:
                return None
        headers = handshake.headers
        get = headers.get
        address = forwarded = ""
        if (claimed := self._claimed(headers)) or self.edge.gate.asks_for_addresses:
            address, forwarded = self._address(transport, claimed)
        knock = Knock(
            get("origin"),
            get("host"),
            get("sec-websocket-protocol", ""),
            get("authorization", ""),
            get("cookie", ""),
            "",
            asked.get("who") if asked else None,
            get("user-agent", ""),
            address,
            forwarded,
        )
        return Request(follow, knock, headers["sec-websocket-key"])

    def _claimed(self, headers: Mapping[str, str]) -> str:
        """Who the proxies say that it is, in the header that counts."""
        if isinstance(self.proxies, ForwardedHeaders):
            said = headers.get("forwarded")
            hop = self.proxies.hop(said) if said else None
            return hop.client if hop else ""
        return headers.get("x-forwarded-for", "")

    def _address(self, transport: asyncio.Transport, claimed: str) -> tuple[str, str]:
        """From where it comes, and that again where a proxy that is trusted says it."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if claimed and self.proxies is not None and address in self.proxies.trusted_hosts:
            forwarded = self.proxies.trusted_hosts.get_trusted_client_address(claimed)[0]
            return forwarded or address, forwarded
        return address, ""


_known: WeakKeyDictionary[Config, Doorway] = WeakKeyDictionary()


def doorway_of(config: Config) -> Doorway | None:
    """The way from uvicorn with this configuration; None where there is none, or none yet."""
    found = _known.get(config)
    if found is None and (found := _find(config)) is not None:
        _known[config] = found
    return found


def _find(config: Config) -> Doorway | None:
    app: Any = config.loaded_app
    proxies = None
    if isinstance(app, ProxyHeadersMiddleware):
        proxies, app = app, app.app
    if not isinstance(app, FastAPI) or config.root_path:
        return None
    edge = getattr(app.state, "mesh_edge", None)
    takes_over = isinstance(config.ws_protocol_class, type) and issubclass(config.ws_protocol_class, HandoverProtocol)
    if edge is None or not takes_over or not _are_ours(app):
        return None
    return Doorway(edge, proxies)


def _are_ours(app: FastAPI) -> bool:
    """Whether our routes are at their places, and the application has put nothing before them that could refuse."""
    if not all(getattr(middleware.cls, "lets_websockets_pass", False) for middleware in app.user_middleware):
        return False
    try:
        if app.url_path_for("mesh_ws_chat", session_id="x") != "/ws/chat/x":
            return False
    except NoMatchFound:
        return False
    return not app.router.dependencies and any(map(_is_plainly_ours, app.routes))


def _is_plainly_ours(route: Any) -> bool:
    """Whether it is our router as it was included, whole or route by route, without dependencies."""
    if getattr(route, "original_router", None) is websocket_router:
        return getattr(route.include_context, "dependencies", None) in ([], ())
    return getattr(route, "name", None) == "mesh_ws_chat" and not getattr(route, "dependencies", None)
