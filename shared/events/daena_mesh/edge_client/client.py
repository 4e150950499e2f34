"""Following a topic of an edge: connected, watched, lost, and connected again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

import daena_mesh
from daena_mesh.edge_client.address import is_loopback, socket_url
from daena_mesh.edge_client.bearer import Bearer, GetToken
from daena_mesh.edge_client.endings import RESTART, STATUSES, Comeback, Ending
from daena_mesh.edge_client.standing import Standing
from daena_mesh.errors import EdgeRefused
from daena_mesh.events import Event
from daena_mesh.feed import Gap

_HANDSHAKE_S = 15.0
_PING_EVERY_S = 15.0
_PONG_WITHIN_S = 20.0
_MOST_BYTES = 16 * 1_048_576
_MOST_WAITING = 1_000

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class EdgeState(NamedTuple):
    """How a client stands.

    ``recovering`` was connected and resumes, which loses nothing; ``failed`` is refused for good.
    """

    name: Literal["connecting", "connected", "recovering", "disconnected", "failed"]
    reason: str = ""
    retry_in_s: float | None = None
    degraded: bool = False
    """The edge is cut off from the log for now."""


class _Life:
    """What is known of one connection, by the monotonic clock."""

    greeted_at: float | None = None
    told_at: float | None = None
    """Until when its edge said to stay away."""

    def ended(self, ending: Ending) -> Ending:
        now = time.monotonic()
        if self.greeted_at is not None:
            ending = ending._replace(lasted_s=now - self.greeted_at)
        if self.told_at is not None and ending.code == RESTART:
            ending = ending._replace(told_s=self.told_at - now)
        return ending


def connect(
    url: str,
    topic: str = "events",
    *,
    token: str | GetToken | None = None,
    since: str = "",
    history: int | None = None,
    types: Sequence[str] = (),
    on_state: Callable[[EdgeState], None] | None = None,
) -> EdgeClient:
    """Follow ``topic`` of the mesh at ``url``; a context manager, and an async iterator within it.

    Args:
        url: where the mesh is, such as ``https://mesh.example.com/``.
        topic: ``events``, ``council``, ``chat_<session>`` or ``agent_<agent>``.
        token: a token, or a function that gives one, or an awaitable of one. It is asked before each attempt, and
            before the token expires.
        since: positions to resume from, as `EdgeClient.since` gives them.
        history: where nothing is known of a position: the newest so many events first.
        types: these event types alone.
        on_state: told of each change of state; must not raise.

    Raises:
        InvalidId: there is no such topic.
        InvalidQuery: ``url`` is no address of a mesh.
    """
    return EdgeClient(
        url, topic, token=token, since=since, history=history, types=types, on_state=on_state or (lambda _: None)
    )


class EdgeClient:
    """A topic as it is shown by an edge, each event once and in order; made by `connect`.

    It gives `Event`, and `Gap` where something cannot be had any more. Iterating ends when it is closed, and raises
    `EdgeRefused` where the edge refuses for good. Who reads slowly holds the edge back, and loses nothing.
    """

    def __init__(
        self,
        url: str,
        topic: str,
        *,
        token: str | GetToken | None,
        since: str,
        history: int | None,
        types: Sequence[str],
        on_state: Callable[[EdgeState], None],
    ) -> None:
        self._asked = (url, topic, history, types)
        self._proxy: Literal[True] | None = None if is_loopback(url) else True
        self._standing = Standing(since)
        self._handed = Standing(since)
        self._address()  # raises what there is to raise
        self._bearer = Bearer(token)
        self._comeback = Comeback(renews=self._bearer.renews)
        self._on_state = on_state
        self._items: asyncio.Queue[Event | Gap | None] = asyncio.Queue(_MOST_WAITING)
        self._running: asyncio.Task[None] | None = None
        self._refused: EdgeRefused | None = None
        self._was_connected = False
        self._life = _Life()
        self.state = EdgeState("connecting")

    @property
    def since(self) -> str:
        """The positions up to which all was given out, for a later ``connect(…, since=…)``."""
        return self._handed.since

    async def close(self) -> None:
        """End it."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        if self.state.name not in {"failed", "disconnected"}:
            self._enter(EdgeState("disconnected", "closed"))
            while not self._items.empty():
                self._items.get_nowait()
            self._items.put_nowait(None)

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(), name="client of an edge")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Event | Gap]:
        return self

    async def __anext__(self) -> Event | Gap:
        if (item := await self._items.get()) is None:
            self._items.put_nowait(None)  # for whoever asks next
            if self._refused is not None:
                raise self._refused
            raise StopAsyncIteration
        if isinstance(item, Gap):
            self._handed.skip(item.after)
        else:
            self._handed.take(item.cursor)
        return item

    def _address(self) -> str:
        url, topic, history, types = self._asked
        return socket_url(url, topic, since=self._standing.since, history=history, types=types)

    # -- connections --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._enter(EdgeState("recovering" if self._was_connected else "connecting", self.state.reason))
            self._life = _Life()
            ending = await self._connection()
            wait_s = self._comeback.after(self._life.ended(ending))
            reason = ending.reason or f"closed ({ending.code})"
            if wait_s is None:
                self._refused = EdgeRefused(reason, code=ending.code)
                self._enter(EdgeState("failed", reason))
                await self._items.put(None)
                return
            self._enter(EdgeState("recovering" if self._was_connected else "connecting", reason, wait_s))
            await asyncio.sleep(wait_s)

    async def _connection(self) -> Ending:
        """One connection, from the asking for a token to its end."""
        try:
            token = await self._bearer.ask()
        except Exception as error:  # noqa: BLE001 - it is the application's, and asked again
            return Ending(0, f"no token: {error}")
        try:
            async with open_websocket(
                self._address(),
                additional_headers={"Authorization": f"Bearer {token}"} if token else None,
                user_agent_header=f"daena-mesh/{daena_mesh.__version__}",
                subprotocols=[Subprotocol("mesh.v1")],
                compression=None,
                proxy=self._proxy,
                open_timeout=_HANDSHAKE_S,
                ping_interval=_PING_EVERY_S,
                ping_timeout=_PONG_WITHIN_S,
                close_timeout=1,
                max_size=_MOST_BYTES,
            ) as socket:
                return await self._attend(socket)
        except InvalidStatus as error:
            response = error.response
            waits = response.headers.get("Retry-After", "")
            told_s = float(waits) if waits.isdecimal() else None
            return Ending(STATUSES.get(response.status_code, 0), f"HTTP {response.status_code}", told_s=told_s)
        except (OSError, InvalidHandshake, TimeoutError) as error:
            return Ending(0, str(error) or type(error).__name__)

    async def _attend(self, socket: ClientConnection) -> Ending:
        async def show(fresh: str) -> None:
            with contextlib.suppress(ConnectionClosed):
                await socket.send(msgspec.json.encode({"type": "auth", "token": fresh}).decode())

        keeping = asyncio.create_task(self._bearer.keep(show), name="token of an edge's client")
        try:
            async with asyncio.timeout(_HANDSHAKE_S) as greeting:
                while True:
                    frame = await socket.recv()
                    greeting.reschedule(None)
                    if not await self._receive(frame, keeping):
                        return Ending(0, "an event did not arrive")
        except TimeoutError:
            return Ending(0, "no greeting")
        except ConnectionClosed as error:
            close = error.rcvd
            return Ending(close.code, close.reason) if close is not None else Ending(0, "the connection ended")
        finally:
            keeping.cancel()

    # -- frames -------------------------------------------------------------------------------------------------

    async def _receive(self, text: str | bytes, keeping: asyncio.Task[None]) -> bool:
        """Take a frame; False where something before it did not arrive."""
        try:
            frame = _decode(text)
        except (msgspec.DecodeError, RecursionError):
            return True  # no event of a mesh
        payload = frame.get("payload")
        if not isinstance(payload, dict):
            payload = {}
        match frame.get("event_type"):
            case "connection":
                self._greeted(payload, frame.get("timestamp"))
            case "auth":
                self._bearer.taken(frame.get("timestamp"))
            case "reconnect":
                after_ms = payload.get("after_ms")
                self._life.told_at = time.monotonic() + (after_ms / 1_000 if isinstance(after_ms, int | float) else 0)
            case "gap":
                self._standing.skip(payload.get("to"))
                await self._items.put(Gap(str(payload.get("from")), str(payload.get("to")), payload.get("reason", "")))
            case "error":
                if payload.get("code") == "auth_too_late":  # nobody asks for tokens here
                    keeping.cancel()
            case "pong" | "ack" | None:
                pass
            case _:
                return await self._take(frame, payload)
        return True

    def _greeted(self, payload: dict[str, Any], timestamp: object) -> None:
        if self._life.greeted_at is None:
            self._life.greeted_at = time.monotonic()
            self._bearer.taken(timestamp)
        if isinstance(cursors := payload.get("cursors"), dict):
            self._standing.start(cursors)
            if not self._was_connected:
                self._handed.start(cursors)
        is_degraded = payload.get("status") == "degraded"
        if is_degraded or payload.get("recovered") or self.state.name == "connected":
            self._was_connected = True
            self._enter(EdgeState("connected", degraded=is_degraded))

    async def _take(self, frame: dict[str, Any], payload: dict[str, Any]) -> bool:
        from_ = self._standing.since
        cursor = frame.get("cursor")
        verdict = self._standing.take(cursor, frame.get("prev"))
        if verdict in {"known", "broken"}:
            return verdict == "known"
        if verdict == "lost":
            await self._items.put(Gap(from_, str(cursor), "chain"))
        source = frame.get("source")
        event = Event(
            event_type=str(frame["event_type"]),
            payload=payload,
            id=str(frame.get("id", "")),
            timestamp=str(frame.get("timestamp", "")),
            source=source if isinstance(source, str) else None,
            subject=str(frame.get("subject", "")),
            cursor=cursor if isinstance(cursor, str) else "",
        )
        await self._items.put(event)
        return True

    def _enter(self, state: EdgeState) -> None:
        self.state = state
        self._on_state(state)
