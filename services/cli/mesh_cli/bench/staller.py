"""A WebSocket client of a topic that reads nothing until it is told to, and then holds what it is given to the end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import socket
from typing import Self

from mesh_cli.bench.machine import CannotBench

_BUFFER_BYTES = 4_096
_SEGMENT_BYTES = 1_400
"""As on a network: with segments of loopback's size the kernel would take megabytes for it."""
_READ_BYTES = 262_144
_WITHIN_S = 60.0
_numbers = re.compile(rb'"bench":"(\d+)\.').findall


class Staller:
    """One client."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._rest = b""
        self.numbers: list[int] = []
        """Of the events that it was given, in their order."""

    @classmethod
    async def connect(cls, port: int, path: str) -> Self:
        """Join, and read nothing from then on."""
        loop, sock = asyncio.get_running_loop(), socket.socket()
        client = cls(sock)
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        key = base64.b64encode(os.urandom(16)).decode()
        try:
            async with asyncio.timeout(_WITHIN_S):
                await loop.sock_connect(sock, ("127.0.0.1", port))
                await loop.sock_sendall(
                    sock,
                    f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode(),
                )
                while b'"recovered":true' not in client._rest:
                    await client._read()
        except BaseException:
            sock.close()
            raise
        return client

    async def read_up_to(self, last: int) -> None:
        """Read until event ``last`` came; raises `CannotBench` where one is missing, comes twice or out of order."""
        async with asyncio.timeout(_WITHIN_S):
            while not self.numbers or self.numbers[-1] < last:
                await self._read()
        if self.numbers != list(range(self.numbers[0], last + 1)):
            raise CannotBench("the reader that stalled was not given all events, once and in order")

    async def _read(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self._socket, _READ_BYTES)
        if not data:
            raise CannotBench(f"the reader that stalled was sent away: {self._rest[-200:]!r}")
        *lines, self._rest = (self._rest + data).split(b'"state":')  # behind the number in each event
        self.numbers += [int(number) for line in lines for number in _numbers(line)]

    def close(self) -> None:
        """Vanish."""
        self._socket.close()
