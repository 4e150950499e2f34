"""The token that a client shows when it knocks: where it may be, and which one counts."""

from __future__ import annotations

from typing import NamedTuple

SUBPROTOCOL = "mesh.v1"
MOST_USER_AGENT = 256
_BEARER_SUBPROTOCOL = "bearer."
_FIRST = f"{SUBPROTOCOL},"
_USUAL = f"{SUBPROTOCOL}, {_BEARER_SUBPROTOCOL}"
"""As browsers write what our clients offer."""
_BEARER = "bearer "


class Places(NamedTuple):
    """Where a token is looked for, beside subprotocols and the ``Authorization`` header."""

    cookie: str = ""
    """The name of the cookie; empty: in none."""
    query: bool = False
    """In the query parameter ``token``, which proxies write into their logs."""


class Knock(NamedTuple):
    """What a client says of itself when it asks to come in, whatever door it came to. Empty: it did not say."""

    origin: str | None = None
    host: str | None = None
    protocols: str = ""
    """``Sec-WebSocket-Protocol``."""
    authorization: str = ""
    cookie: str = ""
    query_token: str = ""
    who: str | None = None
    """The query parameter: as whom it is present where nobody authenticates."""
    user_agent: str = ""
    address: str = ""
    """From where it comes, without the port."""
    forwarded: str = ""
    """The same, where a proxy that is trusted said it."""


def offers(protocols: str) -> str | None:
    """The subprotocol to choose of those that are offered, None for none of them."""
    if not protocols:
        return None
    if protocols.startswith(_FIRST):
        return SUBPROTOCOL
    return SUBPROTOCOL if SUBPROTOCOL in map(str.strip, protocols.split(",")) else None


def token_of(knock: Knock, places: Places) -> str:
    """The token, empty without one. What a page sets for this very socket counts more than what comes by itself."""
    if knock.protocols.startswith(_USUAL) and "," not in (token := knock.protocols[len(_USUAL) :]):
        return token.strip()
    if _BEARER_SUBPROTOCOL in knock.protocols:
        for offered in knock.protocols.split(","):
            if (name := offered.strip()).startswith(_BEARER_SUBPROTOCOL):
                return name[len(_BEARER_SUBPROTOCOL) :]
    if knock.authorization[: len(_BEARER)].lower() == _BEARER:
        return knock.authorization[len(_BEARER) :].strip()
    if places.query and knock.query_token:
        return knock.query_token
    if places.cookie and knock.cookie:
        for pair in knock.cookie.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == places.cookie:
                return value
    return ""
