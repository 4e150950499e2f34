"""A client that brought no token, and may show one in its first message: ``{"type":"auth","token":"…"}``.

Until then it is shown nothing, follows nothing, and has little room. Then it is judged as if the token had come with
its handshake, and another socket takes its place.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from daena_mesh.tokens import MOST_TOKEN_BYTES
from mesh_edge import closing
from mesh_edge.auth import read_auth
from mesh_edge.closing import Closing
from mesh_edge.credentials import Knock
from mesh_edge.follow import Follow
from mesh_edge.gate import UNSURE, Denied, Refusal
from mesh_edge.lobby import Lobby
from mesh_edge.messages import Message, Text
from mesh_edge.socket import WebSocket

if TYPE_CHECKING:
    from mesh_edge.edge import Edge

_MOST_BYTES = MOST_TOKEN_BYTES + 1_024
_MOST_MESSAGES = 64
"""What it may say behind its token before its turn has come."""


class Stranger(WebSocket):
    """Waits for a token, for a while."""

    __slots__ = ("_connections", "_deadline", "_edge", "_follow", "_knock", "_lobby", "_rest")

    def __init__(
        self, transport: asyncio.Transport, edge: Edge, knock: Knock, follow: Follow | None, connections: set[Any]
    ) -> None:
        """Takes over ``transport``.

        ``follow`` is what it asked for; None where it will name its topics. ``connections`` are those of its server.
        """
        super().__init__(transport, edge)
        self._edge = edge
        self._knock = knock
        self._follow = follow
        self._connections = connections
        self._rest: list[Message] | None = None
        """What it said behind its token; None while it has said nothing."""
        self._lobby: Lobby | None = None
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(edge.settings.auth_within_s, self._refuse, closing.UNAUTHENTICATED)

    @property
    def readers(self) -> tuple[()]:
        """None."""
        return ()

    @property
    def most_bytes(self) -> int:
        """As large as a token may be, and a little more."""
        return min(_MOST_BYTES, super().most_bytes)

    def close(self, why: Closing, reason: str = "") -> None:
        """Say why, and end."""
        self._stop_waiting()
        super().close(why, reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _take(self, messages: list[Message]) -> None:
        for at, message in enumerate(messages):
            if self._rest is not None:
                self._rest += messages[at:]
                if len(self._rest) > _MOST_MESSAGES:
                    self.close(closing.TOO_MANY)
                return
            if isinstance(message, Text) and not self._closing:
                self._knock = self._knock._replace(authorization=f"Bearer {read_auth(message.text)}")
                self._rest = []
                self._deadline.cancel()
                self._edge.gate.settle(self._knock, self._wait_in_line)
            else:
                super()._take([message])

    def _wait_in_line(self) -> None:
        self._edge.turnstile.line_up(self._come_in)

    def _come_in(self) -> None:
        """Its turn has come."""
        if self._closing:
            return
        gate, follow = self._edge.gate, self._follow
        gate.left(self)  # or its address would count twice
        try:
            self.visitor = gate.authorize(self._knock, follow and follow.name, time.time())
            if follow is not None:
                self._follow = follow = gate.shown(self.visitor, follow)
            gate.last_look(self._knock, self.visitor)
        except Denied as denied:
            self._refuse(denied.why)
            return
        except Refusal as refusal:
            is_blind = refusal.status == 503
            self._refuse(
                closing.RESTART if gate.is_draining else closing.INTERNAL_ERROR if is_blind else closing.TOO_MANY
            )
            return
        gate.entered(self, self._knock)
        if follow is not None:
            self._lobby = self._edge.lobby(follow.name)
        if self._lobby is None or self._lobby.admit(self._line_up, self.visitor.user):
            self._enter()

    def _line_up(self) -> None:
        """The topic is ready, for all who waited."""
        self._edge.turnstile.line_up(self._enter)

    def _enter(self) -> None:
        if self._closing:
            return
        edge, visitor, connections = self._edge, self.visitor, self._connections
        try:
            if self._follow is not None:
                edge.check_circle(self._follow.name, visitor, self._line_up)
        except Denied as denied:
            self._refuse(denied.why)
            return
        except Refusal:
            self._refuse(UNSURE)
            return
        socket: WebSocket
        if self._follow is None:
            socket = edge.enter_many(self.transport, visitor=visitor, connections=connections)
        else:
            socket = edge.enter(self.transport, self._follow, visitor=visitor, connections=connections)
        self._closing = True
        self._stop_waiting()
        edge.lost(self)
        edge.gate.entered(socket, self._knock)
        for callback in self._on_lost or ():
            socket.when_lost(callback)
        socket.go_on(self._rest or [], self._pending)

    def _stop_waiting(self) -> None:
        self._deadline.cancel()
        lobby, self._lobby = self._lobby, None
        if lobby is not None:
            lobby.leave(self._line_up)

    def _refuse(self, why: Closing) -> None:
        self._edge.counts.refused[str(why.code), why.name] += 1
        self.close(why)
