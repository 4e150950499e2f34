"""The lean door: uvicorn's ``http=`` class, which answers a plain WebSocket handshake from its first bytes.

Run uvicorn with ``--http mesh_edge.door:Door --ws mesh_edge.protocol:HandoverProtocol``. All else, and whatever is odd
about a handshake, goes to uvicorn and FastAPI, as if this were not here. Both ask the same `Gate`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from email.utils import formatdate
from typing import Any, cast

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from mesh_edge.closing import Closing
from mesh_edge.credentials import offers
from mesh_edge.doorway import Request, doorway_of
from mesh_edge.edge import Edge
from mesh_edge.gate import PROBLEM, Denied, Refusal, Silent
from mesh_edge.handshake import MOST_BYTES, accepting, read_handshake
from mesh_edge.link import NOBODY, Visitor
from mesh_edge.lobby import Lobby
from mesh_edge.socket import WebSocket
from mesh_edge.turnstile import turnstile_of

HEAD_WITHIN_S = 10.0
_BEGINNING = b"GET /ws"
_OF_THE_EDGE = (_BEGINNING, b"GET /sse/")
"""What thousands may ask for at once."""
_MOST_EARLY_BYTES = 65_536
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_log = logging.getLogger("uvicorn.error")


class Door(asyncio.Protocol):
    """One connection, until it is known what it wants."""

    usual: type[HttpToolsProtocol] = HttpToolsProtocol
    """Who is handed what is no plain handshake."""
    head_within_s = HEAD_WITHIN_S
    """How long a client may take for its handshake."""

    __slots__ = (
        *("_app_state", "_config", "_data", "_deadline", "_edge", "_is_odd", "_lobby", "_loop", "_request"),
        *("_server_state", "_transport", "_visitor"),
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Made by uvicorn, which gives it what its own protocols are given."""
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._deadline: asyncio.TimerHandle
        self._data = b""
        self._is_odd = False
        """It stands in line for FastAPI."""
        self._edge: Edge
        self._request: Request | None = None
        """What it asked for, while it stands in line or waits for its topic."""
        self._visitor: Visitor
        self._lobby: Lobby | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there, and has `head_within_s` for its handshake."""
        self._transport = transport
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        self._deadline = self._loop.call_later(self.head_within_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """It has gone before it came in."""
        self._leave()
        self._request = None
        self._is_odd = False
        self._leave_lobby()

    def shutdown(self) -> None:
        """Uvicorn stops."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """A handshake, or part of one, or anything else."""
        if self._data:
            data = self._data + data
        if self._request is not None or self._is_odd:  # what it says before it was answered is read once it is in
            self._data = data
            if len(data) > _MOST_EARLY_BYTES:
                self._transport.abort()
            return
        end = data.find(b"\r\n\r\n")
        if end < 0 and len(data) <= MOST_BYTES and data.startswith(_BEGINNING[: len(data)]):
            self._data = data
            return
        if end + 4 == len(data) and data.startswith(_BEGINNING) and (handshake := read_handshake(data[:end])):
            doorway = doorway_of(self._config)
            if doorway is not None and (request := doorway.request(handshake, self._transport)) is not None:
                self._data = b""
                self._answer(doorway.edge, request)
                return
        if data.startswith(_OF_THE_EDGE):
            self._deadline.cancel()
            self._data, self._is_odd = data, True
            turnstile_of(self._loop).line_up(self._hand_over_odd)
        else:
            self._hand_over(data)

    def _hand_over_odd(self) -> bool:
        """Its turn has come; FastAPI answers it in the next turn of the loop."""
        if not self._is_odd:
            return False  # it has gone meanwhile
        head, end, rest = self._data.partition(b"\r\n\r\n")
        self._hand_over(head + end)
        if rest:  # uvicorn drops what comes in one piece with a handshake
            cast("asyncio.Protocol", self._transport.get_protocol()).data_received(rest)
        return True

    def _hand_over(self, data: bytes) -> None:
        """Not for us: from here on it is as if uvicorn's own protocol had been there from the beginning."""
        self._leave()
        usual = self.usual(self._config, self._server_state, self._app_state, self._loop)
        usual.connection_made(self._transport)
        self._transport.set_protocol(usual)
        usual.data_received(data)

    # -- answers ------------------------------------------------------------------------------------------------

    def _answer(self, edge: Edge, request: Request) -> None:
        self._deadline.cancel()
        try:
            edge.gate.knock(request.knock, self._loop.time())
        except Refusal as refusal:
            self._refuse(edge, request, refusal)
        else:
            self._edge, self._request = edge, request
            edge.gate.settle(request.knock, self._wait_in_line)

    def _wait_in_line(self) -> None:
        self._edge.turnstile.line_up(self._authorize)

    def _authorize(self) -> None:
        """Its turn has come."""
        edge, request = self._edge, self._request
        if request is None:
            return  # it has gone meanwhile
        try:
            follow = request.follow
            self._visitor = edge.gate.authorize(request.knock, follow and follow.name, time.time())
            if follow is not None and (shown := edge.gate.shown(self._visitor, follow)) is not follow:
                self._request = request = request._replace(follow=shown)
                follow = shown
            edge.gate.last_look(request.knock, self._visitor)
        except Silent:
            self._request = None
            self._expect_token(edge, request)
            return
        except (Refusal, Denied) as refused:
            self._request = None
            self._refuse(edge, request, refused)
            return
        if follow is None or edge.is_at_rest(follow.name, self._visitor):
            self._request = None
            self._enter(edge, request)
            return
        self._lobby = edge.lobby(follow.name)
        if self._lobby.admit(self._line_up, self._visitor.user):
            self._request = None
            self._enter(edge, request)

    def _line_up(self) -> None:
        """The topic is ready, for all who waited."""
        self._edge.turnstile.line_up(self._come_in)

    def _come_in(self) -> None:
        edge, request, self._request = self._edge, self._request, None
        if request is None:
            return  # it has gone meanwhile
        try:
            edge.gate.last_look(request.knock, self._visitor)
        except (Refusal, Denied) as refused:
            self._leave_lobby()
            self._refuse(edge, request, refused)
        else:
            self._enter(edge, request)

    def _leave_lobby(self) -> None:
        lobby, self._lobby = self._lobby, None
        if lobby is not None:
            lobby.leave(self._line_up)

    def _enter(self, edge: Edge, request: Request) -> None:
        follow, transport, visitor = request.follow, self._transport, self._visitor
        try:
            if follow is not None:
                edge.check_circle(follow.name, visitor, self._line_up)
        except (Refusal, Denied) as refused:
            self._leave_lobby()
            self._refuse(edge, request, refused)
            return
        self._leave()
        beginning, connections = self._acceptance(request), self._server_state.connections
        socket: WebSocket
        try:
            if follow is None:
                socket = edge.enter_many(transport, visitor=visitor, beginning=beginning, connections=connections)
            else:
                socket = edge.enter(transport, follow, visitor=visitor, beginning=beginning, connections=connections)
        finally:
            self._leave_lobby()
        edge.gate.entered(socket, request.knock)
        if self._data:
            socket.data_received(self._data)

    def _expect_token(self, edge: Edge, request: Request) -> None:
        """Accept it as a stranger, who follows nothing before a token has come."""
        try:
            edge.gate.last_look(request.knock, NOBODY)
        except (Refusal, Denied) as refused:
            self._refuse(edge, request, refused)
            return
        self._leave()
        beginning, connections = self._acceptance(request), self._server_state.connections
        stranger = edge.expect_token(
            self._transport, request.knock, request.follow, beginning=beginning, connections=connections
        )
        if self._data:
            stranger.data_received(self._data)

    def _refuse(self, edge: Edge, request: Request, refused: Refusal | Denied) -> None:
        edge.counts.refused[str(refused.status), refused.reason] += 1
        if isinstance(refused, Refusal):
            self._transport.write(_answer_of(refused))
            self._transport.close()
        else:
            self._turn_away(edge, request, refused.why)

    def _turn_away(self, edge: Edge, request: Request, why: Closing) -> None:
        """Accept, and close: browsers show a page nothing else."""
        self._leave()
        stranger = TurnedAway(self._transport, edge)
        self._transport.set_protocol(stranger)
        edge.keep(stranger, self._server_state.connections)
        self._transport.write(self._acceptance(request))
        stranger.close(why)

    def _acceptance(self, request: Request) -> bytes:
        if _log.isEnabledFor(logging.INFO):
            peer = self._transport.get_extra_info("peername")
            name = "of many topics" if request.follow is None else request.follow.name.name
            _log.info('%s - "WebSocket %s" [accepted]', peer and peer[0], name)
        return accepting(request.key, offers(request.knock.protocols), self._server_state.default_headers)

    def _too_slow(self) -> None:
        if (doorway := doorway_of(self._config)) is not None:
            doorway.edge.counts.refused["408", "slow"] += 1
        self._transport.write(_TOO_SLOW)
        self._transport.close()

    def _leave(self) -> None:
        """Nothing of this stays."""
        self._deadline.cancel()
        self._server_state.connections.discard(self)


def _answer_of(refusal: Refusal) -> bytes:
    """A problem (RFC 9457) as the last thing on a connection."""
    body = refusal.body("The WebSocket was refused")
    headers = {
        "content-length": str(len(body)),
        **refusal.headers,
        "content-type": PROBLEM,
        "date": formatdate(usegmt=True),
        "connection": "close",
    }
    lines = [f"{name.lower()}: {value}\r\n".encode() for name, value in headers.items()]
    return b"".join([STATUS_LINE[refusal.status], *lines, b"\r\n", body])


class TurnedAway(WebSocket):
    """A WebSocket that follows nothing, and is told why."""

    __slots__ = ()

    @property
    def readers(self) -> tuple[()]:
        """None."""
        return ()
