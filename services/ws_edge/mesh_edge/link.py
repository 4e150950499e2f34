"""What an edge keeps of a client's connection, whatever it speaks: its transport, and whether it is alive."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

if TYPE_CHECKING:
    from mesh_edge.closing import Closing
    from mesh_edge.conversation import Rules
    from mesh_edge.counts import Counts
    from mesh_edge.reader import Reader
    from mesh_edge.wire import Wire


class Host(Protocol):
    """The edge, as its connections see it."""

    behind_bytes: int
    frame_bytes: int
    rules: Rules
    counts: Counts

    def lost(self, link: Link) -> None:
        """The connection is gone."""

    def settle(self, token: str, go: Callable[[], object]) -> None:
        """Call ``go`` once a fresh token can be checked, mostly at once."""

    def renew(self, link: Link, token: str) -> Closing | None:
        """A client shows a fresh token for what it follows; gives why to close it, if that does not do."""


class Visitor(NamedTuple):
    """Who is at the other end; one object serves all that are alike."""

    user_agent: str = ""
    user: str | None = None
    """The ``sub`` of its token; None where nobody asked for one."""
    may_write: tuple[str, ...] | None = None
    """The patterns of subjects on which it may send; None: what everybody may who has no token."""
    may_read: tuple[str, ...] | None = None
    """What it may ask for on a socket of many topics; None: everything."""
    who: str | None = None
    """As whom it is present, where nobody authenticates."""
    until: float = math.inf
    """When its token expires, in seconds since 1970."""
    issued: float = 0
    """When its token was made."""
    token_id: str = ""
    """What names its token where it is revoked."""
    key: str = ""
    """Which public key its token was signed for; empty: a secret."""
    address: str = ""
    """From where it comes, where a proxy that is trusted says so."""

    @property
    def present_as(self) -> str | None:
        """The user who is announced; None for nobody."""
        return self.user or self.who or None


class Link(asyncio.BaseProtocol):
    """A client's connection."""

    __slots__ = (
        *("connected_at", "fd", "heard", "is_drained", "metadata", "stuck_since", "transport", "visitor"),
        *("_closing", "_given", "_host", "_id", "_is_lost", "_on_lost"),
    )

    wire: ClassVar[Wire]
    """What its readers' topics must speak."""

    def __init__(self, transport: asyncio.Transport, host: Host) -> None:
        """Takes over ``transport``."""
        self.transport = transport
        self.visitor = NOBODY
        self.metadata: dict[str, Any] | None = None
        self.heard = self.connected_at = time.monotonic()  # whoever sets the clock must not end a socket
        self.is_drained = True
        self.stuck_since: tuple[float, int] | None = None
        self._id = random.getrandbits(63)
        self._host = host
        self._given = 0
        self._closing = False
        self._is_lost = False
        self._on_lost: list[Callable[[], object]] | None = None
        encrypted = transport.get_extra_info("ssl_object") is not None
        socket = None if encrypted else transport.get_extra_info("socket")
        self.fd: int = -1 if socket is None else socket.fileno()
        transport.set_write_buffer_limits(0)  # `pause_writing` comes with the first byte that is held back

    @property
    def socket_id(self) -> str:
        """Its name on this edge."""
        return f"{self._id:016x}"

    @property
    def address(self) -> str:
        """From where it comes: what a trusted proxy says, else the address and port of the peer."""
        if self.visitor.address:
            return self.visitor.address
        peer = self.transport.get_extra_info("peername")
        return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unknown"

    @property
    def readers(self) -> Iterable[Reader]:
        """One for each topic that it follows."""
        raise NotImplementedError

    # -- to the client ------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Write frames, in order after what is held back."""
        if not self._closing:
            self._given += len(data)
            self.transport.write(data)

    def has_room(self, size: int) -> bool:
        """Whether ``size`` bytes more may be held back for it."""
        return self.transport.get_write_buffer_size() + size <= self._host.behind_bytes

    def ping(self) -> None:
        """Ask whether the peer is alive. One with something held back would read that first: it may be stuck."""
        raise NotImplementedError

    def close(self, why: Closing, reason: str = "") -> None:
        """Say why, and end."""
        raise NotImplementedError

    def pause_writing(self) -> None:
        """Something is held back."""
        self.is_drained = False
        for reader in self.readers:
            reader.held_back()

    def resume_writing(self) -> None:
        """Nothing is held back any more."""
        self.is_drained = True
        self.stuck_since = None
        self.heard = time.monotonic()  # whoever takes what waited for it is alive
        for reader in self.readers:
            reader.taken()

    def is_stuck(self, now: float, limit_s: float) -> bool:
        """Whether nothing of what is held back was taken for ``limit_s``."""
        if self.is_drained:
            return False
        taken = self._given - self.transport.get_write_buffer_size()
        if self.stuck_since is None or self.stuck_since[1] != taken:
            self.stuck_since = now, taken
        return now - self.stuck_since[0] >= limit_s

    def expel(self, reader: Reader, why: Closing) -> None:  # noqa: ARG002 - others have more than one
        """It may not follow one of its topics any longer."""
        self.close(why)

    # -- its end ------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """It follows nothing any longer."""
        for reader in tuple(self.readers):
            reader.topic.leave(reader)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The descriptor is closed after this, so `Topic.ready` never holds a stale one."""
        if not self._closing:
            self._host.counts.closed["lost"] += 1
        self._closing = self._is_lost = True
        self.leave()
        self._host.lost(self)
        for callback in self._on_lost or ():
            callback()
        self._let_go()

    def _let_go(self) -> None:
        """Forget what points back here: the collector looks for cycles rarely, and until then they take room."""
        self._on_lost = None

    def when_lost(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when the connection is gone, at once if it is."""
        if self._is_lost:
            callback()
        else:
            self._on_lost = [*(self._on_lost or ()), callback]


NOBODY = Visitor()
