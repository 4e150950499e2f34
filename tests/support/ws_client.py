"""WebSocket clients of an edge: a well-behaved one that checks what it is shown, and a raw one that reads when told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import struct
from types import TracebackType
from typing import Any, Self

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.deadlines import WITHIN_S, within

Frame = dict[str, Any]

_decode = msgspec.json.Decoder(Frame).decode


def position(cursor: str) -> tuple[str, int]:
    """Split a cursor into its stream with its epoch, and its sequence."""
    stream, _, seq = cursor.rpartition("-")
    return stream, int(seq)


class Ledger:
    """What a client has been shown, by D's rules: once, in the order of each stream, each live frame chained.

    ``late`` allows events before the newest cursor, as after a loss that later events did not reveal.
    """

    def __init__(self, *, late: bool = False) -> None:
        self.newest: dict[str, str] = {}
        """For each letter of a stream the newest cursor."""
        self.events: list[Frame] = []
        self._late = late
        self._seen: set[str] = set()
        self._given: dict[str, str] = {}

    @property
    def since(self) -> str:
        """What to resume with."""
        return ".".join(self.newest.values())

    def note(self, frame: Frame) -> None:
        """Take one frame in; AssertionError where it breaks a rule."""
        kind = frame["event_type"]
        if kind == "connection" and "cursors" in frame["payload"]:
            for letter, cursor in frame["payload"]["cursors"].items():
                newest = self.newest.get(letter)
                is_same = newest is not None and position(newest)[0] == position(cursor)[0]
                if not (newest and is_same and position(newest) > position(cursor)):
                    self.newest[letter] = cursor
        elif kind == "gap":
            after = frame["payload"]["to"]
            self.newest[after[0]] = after
        elif "cursor" in frame:
            self._event(frame)

    def _event(self, frame: Frame) -> None:
        cursor = frame["cursor"]
        assert cursor not in self._seen, f"{cursor} was shown twice"
        self._seen.add(cursor)
        newest = self.newest.get(cursor[0])
        if newest is not None and position(newest)[0] == position(cursor)[0]:
            is_late = position(cursor) <= position(newest)
            assert self._late or not is_late, f"{cursor} after {newest}"
            if "prev" in frame and self._late:
                assert position(frame["prev"]) <= position(newest), f"{cursor} follows {frame['prev']}, not {newest}"
            elif "prev" in frame:
                assert frame["prev"] == newest, f"{cursor} follows {frame['prev']}, but {newest} was the newest"
            if is_late:
                self.events.append(frame)
                return
        self.newest[cursor[0]] = cursor
        self.events.append(frame)

    def contents(self) -> list[Any]:
        """Give what the chat messages said, in the order in which they came."""
        return [event["payload"]["content"] for event in self.events if event["event_type"] == "chat.message"]


class TopicLedgers(Ledger):
    """The same for a socket of many topics: each has a chain of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._topics: dict[str, Ledger] = {}

    def begin(self, topic: str) -> None:
        """A topic is subscribed to, perhaps anew."""
        self._topics[topic] = Ledger()

    def note(self, frame: Frame) -> None:
        """Take one frame in; AssertionError where it breaks a rule of its topic, or is of none."""
        topic = frame.get("topic") or frame.get("payload", {}).get("connection_id")
        if topic is not None:
            self._topics[topic].note(frame)
        if "cursor" in frame:
            self.events.append(frame)


class Client:
    """A client for ``async with``: reads frame by frame, and holds each against its `Ledger`."""

    def __init__(self, url: str, *, since: str = "", ledger: Ledger | None = None, **options: Any) -> None:
        self.ledger = ledger or Ledger()
        self.hello: Frame = {}
        """The first frame: how one is connected."""
        since = since or (self.ledger.since if ledger else "")
        self._url = f"{url}{'&' if '?' in url else '?'}since={since}" if since else url
        self._options = {"ping_interval": None, "max_size": None, "max_queue": None, "compression": None, **options}
        self.ws: ClientConnection

    async def __aenter__(self) -> Self:
        async with within():
            self.ws = await connect(self._url, **self._options)
        try:
            self.hello = await self.frame()
        except BaseException:
            await self.ws.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.ws.close()

    async def frame(self, within_s: float = WITHIN_S) -> Frame:
        """Give the next frame, whatever it is."""
        async with within(within_s):
            frame = _decode(await self.ws.recv())
        self.ledger.note(frame)
        return frame

    async def next(self, event_type: str, within_s: float = WITHIN_S) -> Frame:
        """Give the next frame of a type, passing over others."""
        async with within(within_s):
            while (frame := await self.frame(within_s))["event_type"] != event_type:
                pass
            return frame

    async def event(self, within_s: float = WITHIN_S) -> Frame:
        """Give the next frame that has a cursor."""
        async with within(within_s):
            while "cursor" not in (frame := await self.frame(within_s)):
                pass
            return frame

    async def events(self, count: int, within_s: float = WITHIN_S) -> list[Frame]:
        """Give the next ``count`` frames that have a cursor."""
        async with within(within_s):
            return [await self.event(within_s) for _ in range(count)]

    async def pong(self) -> list[Frame]:
        """Ask for a pong, and give what came before it: all that was shown until now."""
        await self.ws.send('{"type":"ping","timestamp":"barrier"}')
        before: list[Frame] = []
        async with within():
            while (frame := await self.frame())["event_type"] != "pong":
                before.append(frame)
        return before

    async def closing(self) -> tuple[int, str]:
        """Read until the connection is closed, and give code and reason."""
        async with within():
            try:
                while True:
                    await self.frame()
            except ConnectionClosed as error:
                return (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "")


class RawClient:
    """A client with small buffers that reads nothing unless told to, so that the edge finds it slow."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._rest = b""

    @classmethod
    async def connect(cls, port: int, path: str, *, buffer_bytes: int = 16_384, origin: str = "") -> Self:
        """Shake hands, as a page of ``origin`` where one is given.

        ``buffer_bytes`` is what the kernel takes before the client reads, 0 its own choice.
        """
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        if buffer_bytes:
            # In segments as on a network: one of loopback's 64 kB would not fit, and be sent again ever more rarely.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1_400)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        client = cls(sock)
        async with within():
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await loop.sock_sendall(sock, handshake(path, origin, port))
            while (end := client._rest.find(b"\r\n\r\n")) < 0:
                client._rest += await loop.sock_recv(sock, 4_096)
        assert client._rest.startswith(b"HTTP/1.1 101"), client._rest
        client._rest = client._rest[end + 4 :]
        return client

    async def read(self, most_bytes: int = 65_536) -> list[tuple[int, bytes]]:
        """Give the whole frames that are there, else read once: opcodes and payloads. EOFError at the end."""
        if frames := self._whole_frames():
            return frames
        async with within():
            data = await asyncio.get_running_loop().sock_recv(self.sock, most_bytes)
        if not data:
            raise EOFError
        self._rest += data
        return self._whole_frames()

    def _whole_frames(self) -> list[tuple[int, bytes]]:
        frames, data, at = [], self._rest, 0
        while len(data) >= at + 2:
            size, begin = data[at + 1], at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, begin = int.from_bytes(data[begin : begin + width], "big"), begin + width
            if len(data) < begin + size:
                break
            frames.append((data[at] & 0x0F, data[begin : begin + size]))
            at = begin + size
        self._rest = data[at:]
        return frames

    async def read_to_end(self) -> list[tuple[int, bytes]]:
        """Read until the connection is closed."""
        frames: list[tuple[int, bytes]] = []
        try:
            while True:
                frames += await self.read()
        except (EOFError, ConnectionError):
            return frames

    async def frames(self, most_bytes: int = 65_536) -> list[Frame]:
        """Read once, and give the JSON of the whole text frames; pings are answered."""
        found = []
        for opcode, payload in await self.read(most_bytes):
            if opcode == 1:
                found.append(_decode(payload))
            elif opcode == 9:
                await self.send(masked(0x8A, payload))
        return found

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        async with within():
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    def close(self) -> None:
        """Vanish, without a word."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def handshake(path: str, origin: str = "", port: int = 80) -> bytes:
    """Give the bytes of a WebSocket handshake, as a page of ``origin`` where one is given."""
    key = base64.b64encode(os.urandom(16)).decode()
    host = f"127.0.0.1:{port}\r\nOrigin: {origin}" if origin else "127.0.0.1"
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


def masked(first: int, payload: bytes) -> bytes:
    """Give a client's frame, at most 125 bytes of payload, with a mask of zeros."""
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload
