"""Sockets to listen on, taken before anything is started, and waiting until somebody answers there."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from daena_mesh.errors import MeshError
from daena_mesh.settings import load
from daena_mesh.tokens import Keyring, TokenSettings

_BACKLOG = 2048
_POLL_S = 0.02
_SAYS_SO_AFTER_S = 3.0
_log = logging.getLogger(__name__)


class CannotServe(MeshError):
    """The services cannot listen where they were told to, or do not get ready."""


@dataclass(frozen=True)
class Listener:
    """A socket that is bound, and the URL under which it will be reached."""

    socket: socket.socket
    url: str
    is_shared: bool = False
    """The socket only holds the port; several processes listen there, each with a socket of its own."""

    @property
    def is_on_loopback(self) -> bool:
        """Whether this machine alone reaches it."""
        return ipaddress.ip_address(self.socket.getsockname()[0]).is_loopback

    @property
    def port(self) -> int:
        """The port, also where 0 was asked for."""
        return int(self.socket.getsockname()[1])


def bind(host: str, port: int, *, flag: str = "--port", is_shared: bool = False) -> Listener:
    """Take a port of this machine.

    Args:
        host: a name or address of this machine: of loopback, unless tokens are asked for.
        port: 0 takes a free one.
        flag: the option that the sentence names when the port is taken.
        is_shared: only hold it, for children that share it.

    Raises:
        CannotServe: the port is taken, or strangers would reach it and nobody has to authenticate.
        ConfigurationError: the keys of tokens cannot be used.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise CannotServe(f"--host {host!r} is no address of this machine: {error.strerror}") from error
    if not ipaddress.ip_address(address[0]).is_loopback and Keyring.load(load(TokenSettings)) is None:
        raise CannotServe(
            f"--host {host} would open the mesh to the network, and nobody would have to authenticate: "
            "set MESH_TOKEN_KEY (`openssl rand -base64 32` makes one), or use a loopback address, such as 127.0.0.1"
        )
    listening = socket.socket(family, kind)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        if is_shared:  # only now: whoever listens there already, for itself or with others, is not joined by accident
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        else:
            listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotServe(
            f"port {port} on {host} is not free ({error.strerror}): choose another with {flag}"
        ) from error
    return listener_of(listening, host, is_shared=is_shared)


def listener_of(listening: socket.socket, host: str, *, is_shared: bool = False) -> Listener:
    """Wrap a socket that is bound already."""
    name = f"[{host}]" if ":" in host else host
    return Listener(listening, f"http://{name}:{listening.getsockname()[1]}", is_shared)


def for_child(listener: Listener) -> socket.socket:
    """A socket for a child to inherit, to be closed here once it has; raises `OSError`.

    Where the port is shared it belongs to the child alone, so that nobody waits in line at a child that died. Else it
    is this very one, so that whoever comes while a child is started again waits for it.
    """
    if not listener.is_shared:
        return listener.socket.dup()
    own = socket.socket(listener.socket.family, listener.socket.type)
    try:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        own.bind(listener.socket.getsockname())
    except OSError:
        own.close()
        raise
    return own


async def announce(listener: Listener, on_ready: Callable[[], Awaitable[None]]) -> None:
    """Await ``on_ready`` when ``/readyz`` answers 200; say so in the log where that takes long."""
    try:
        async with asyncio.timeout(_SAYS_SO_AFTER_S):
            await until_ready(listener)
    except TimeoutError:
        _log.warning("%s is not ready yet, and waits; %s/readyz says for what", listener.url, listener.url)
        await until_ready(listener)
    await on_ready()


async def until_ready(listener: Listener) -> None:
    """Return when ``/readyz`` answers 200."""
    host, port = listener.socket.getsockname()[:2]
    while await _status(host, port, "/readyz") != 200:  # noqa: ASYNC110 - the news is in another process
        await asyncio.sleep(_POLL_S)


async def _status(host: str, port: int, path: str) -> int | None:
    """The status of a GET, or None where nobody answers."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                line = await reader.readline()
            finally:
                writer.close()
            return int(line.split()[1])
    except (OSError, TimeoutError, ValueError, IndexError):
        return None
