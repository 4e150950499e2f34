"""The one connection to NATS of a process, kept for ever.

Every loss ends in the same way: the client is thrown away and a new one is made, after a delay with full jitter, with
credentials read anew. Subscriptions are ours (`tap`), so they survive it. Who asks for something meanwhile gets
`MeshUnavailable` at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, NewType

import nats.errors
from nats.aio.client import Client

from daena_mesh.credential_renewal import Renewal
from daena_mesh.errors import MeshError, MeshUnavailable
from daena_mesh.peers import Peers
from daena_mesh.repeats import OFTEN_S, Repeat, Unanswered
from daena_mesh.tap import Handler, Shortcut, Tap, TapTransport

State = Literal["connecting", "connected", "degraded", "closed"]

_FIRST_DELAY_S = 0.05
_FIRST_ATTEMPTS = 5
_MOST_DELAY_S = 2.0
_CONNECT_TIMEOUT_S = 2
_PING_INTERVAL_S = 1
_MOST_PINGS = 3
"""So many may be unanswered: what is cut off is noticed in three to four seconds, before streams have new leaders."""
_CLOSE_S = 1.0
_log = logging.getLogger(__name__)


class Reply(NamedTuple):
    """An answer: its header block (empty where there is none) and its body."""

    headers: bytes
    body: bytes


Subscription = NewType("Subscription", bytes)
"""The id under which NATS knows that a subject is listened to."""


class Connection:
    """A connection that comes back."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        name: str,
        credentials: str | None = None,
        inbox: str = "_INBOX",
        find: Callable[[], str | None] | None = None,
        authority: str | None = None,
    ) -> None:
        """``urls`` are tried in turn; ``credentials`` is the path of a ``.creds`` file; replies come under ``inbox``.

        ``authority`` is a PEM file: who signs the certificates of NATS, in place of whom this system trusts.
        ``find`` is asked, in a thread, before each further attempt: what it finds takes the place of ``urls``.
        """
        self.name = name
        self.connects = 0
        self._urls = list(urls)
        self._passed_over: set[str] = set()
        """Servers that were alone, since one was not: a second time they are better than nothing."""
        self._find = find
        self._credentials = credentials
        self._renewal = Renewal(credentials) if credentials else None
        self._authority = authority
        self._inbox = f"{inbox}.{secrets.token_hex(8)}.".encode()
        self._state: State = "connecting"
        self._reason = "not connected yet"
        self._client: Client | None = None
        self._tap: Tap | None = None
        self._unsent: list[bytes] = []
        self._handlers: dict[bytes, Handler] = {}
        self.shortcuts: dict[bytes, Shortcut] = {}
        """What takes messages before the handlers of their subscriptions: see `daena_mesh.tap`."""
        self._subjects: dict[bytes, bytes] = {}
        self._ids = itertools.count(1)
        self._waiting: dict[bytes, Callable[[Reply | None], None]] = {}
        self._unanswered = Unanswered()
        self._on_up: list[Callable[[], Awaitable[None]]] = []
        self._on_renewal: dict[Callable[[], None], None] = {}
        self._watchers: list[Callable[[State], None]] = []
        self._ready = asyncio.Event()
        self._was_ready = False
        self._tried = asyncio.Event()
        self._down = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self.subscribe(self._inbox.decode() + "*", self._answer)

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect, in the background."""
        if self._supervisor is None:
            self._supervisor = asyncio.create_task(self._supervise(), name=f"{self.name}: connection")

    async def close(self) -> None:
        """End for good. Whoever waits for an answer gets `MeshUnavailable`."""
        self._change("closed", "")
        self._ready.set()  # for who waits for it: `wait_ready` finds it closed
        self._down.set()
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
        await self._drop_client()

    @property
    def state(self) -> State:
        """``connected``: NATS and the leaders of the streams answer."""
        return self._state

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._state == "closed"

    @property
    def is_connected(self) -> bool:
        """Whether there is a live socket to NATS."""
        return self._tap is not None

    @property
    def is_ready(self) -> bool:
        """Whether every `on_up` ran over this connection, or it was closed: `wait_ready` waits for nothing."""
        return self._ready.is_set()

    @property
    def is_clustered(self) -> bool:
        """Whether the server at the other end has peers, so that interest and replicas may lag."""
        return self._client is not None and "cluster" in self._client._server_info  # noqa: SLF001 - it has no other way

    @property
    def client(self) -> Client:
        """nats-py's client of this moment, a new one after each reconnect; raises `MeshUnavailable`."""
        if self._client is None or self._tap is None:
            raise self.unavailable()
        return self._client

    @property
    def _places(self) -> str:
        """Where NATS is, for people."""
        return ", ".join(map(_without_secret, self._urls))

    def unavailable(self) -> MeshUnavailable:
        """The error that says why there is no connection."""
        if self.is_closed:
            return MeshUnavailable("the connection to NATS was closed")
        return MeshUnavailable(f"NATS at {self._places} is not reachable: {self._reason}")

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait until NATS answers and every `on_up` ran.

        Raises `MeshUnavailable` after ``timeout_s``, and when it was closed.
        """
        if not self._ready.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._ready.wait()
            except TimeoutError:
                raise self.unavailable() from None
        if self.is_closed:
            raise self.unavailable()

    async def wait_tried(self, timeout_s: float) -> None:
        """Wait until the first attempt to connect has worked or failed, for ``timeout_s`` at most."""
        if not self._tried.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._tried.wait()

    def on_up(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Await ``callback`` after each connect, in the order given, before anybody is told *connected*."""
        self._on_up.append(callback)

    def on_renewal(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on each connect, before any message comes through it."""
        self._on_renewal[callback] = None

    def remove_on_renewal(self, callback: Callable[[], None]) -> None:
        """Undo `on_renewal`."""
        self._on_renewal.pop(callback, None)

    def watch(self, callback: Callable[[State], None]) -> None:
        """Call ``callback`` with each new state, and with *degraded* once more when the connection is lost as well."""
        self._watchers.append(callback)

    def unwatch(self, callback: Callable[[State], None]) -> None:
        """Undo `watch`."""
        self._watchers.remove(callback)

    def degrade(self, reason: str) -> None:
        """The socket is well, but a stream's leader does not answer through it."""
        if self._state == "connected":
            self._change("degraded", reason)

    def leave(self, reason: str) -> None:
        """Go to another server, where one is known."""
        if self._tap is not None and self._client is not None and len(self._urls) > 1:
            _log.warning("%s: leaves its server: %s", self.name, reason)
            self._lost(self._client)

    def restore(self) -> None:
        """The leaders answer again."""
        if self._state == "degraded" and self._ready.is_set():
            self._change("connected", "")

    def _change(self, state: State, reason: str) -> None:
        if self._state in {state, "closed"}:
            return
        self._state, self._reason = state, reason
        self._tried.set()
        level = logging.WARNING if state == "degraded" else logging.INFO
        _log.log(level, "%s: %s, NATS at %s%s", self.name, state, self._places, f": {reason}" if reason else "")
        self._tell_watchers()

    def _tell_watchers(self) -> None:
        state = self._state
        for callback in tuple(self._watchers):
            try:
                callback(state)
            except Exception:  # noqa: BLE001 - whoever is told must not end the connection
                _log.exception("%s: whoever was told %r failed", self.name, state)

    async def _supervise(self) -> None:
        delay_s, over = _FIRST_DELAY_S, 0
        for attempt in itertools.count():
            self._down.clear()
            if self.is_closed:  # before Python 3.12 wait_for, which nats-py uses, may swallow a cancellation
                return
            try:
                if attempt and self._find is not None and (found := await asyncio.to_thread(self._find)):
                    self._urls = [found]
                await self._connect(self._urls[attempt % len(self._urls)])
                delay_s = _FIRST_DELAY_S
                self._reason = await self._until_over()
            except (OSError, TimeoutError, MeshError, nats.errors.Error) as error:
                self._reason = str(error) or type(error).__name__
            except Exception as error:  # noqa: BLE001 - whatever happens, the connection comes back
                _log.exception("%s: connecting failed", self.name)
                self._reason = str(error)
            _log.debug("%s: not connected: %s", self.name, self._reason)
            self._ready.clear()
            if self._state == "degraded" and over != self.connects:
                self._tell_watchers()  # it was for a leader, and is for all of NATS now
            over = self.connects
            if self._was_ready or attempt >= _FIRST_ATTEMPTS:  # services start side by side: the first may be early
                self._change("degraded", self._reason)
            await self._drop_client()
            await asyncio.sleep(random.uniform(0, delay_s))
            delay_s = min(2 * delay_s, _MOST_DELAY_S)

    async def _until_over(self) -> str:
        """Wait for the end of the connection, and say what ended it."""
        if self._renewal is None:
            await self._down.wait()
            return "the connection was lost"
        ends = [asyncio.create_task(self._down.wait()), asyncio.create_task(self._renewal.due())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return "the connection was lost" if ends[0].done() else "its credentials were renewed"
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _connect(self, url: str) -> None:
        if self._renewal is not None:
            self._renewal.begin()
        self._client = client = Client()
        peers = Peers()

        def informed(info: bytes) -> None:
            if peers.are_gone(info):
                self.leave("its server is alone, without its peers")

        transport = TapTransport(self._handlers, self.shortcuts, lambda: self._lost(client), informed)
        client._transport = transport  # noqa: SLF001 - held by a test against the pinned version
        await client.connect(
            url,
            name=self.name,
            user_credentials=self._credentials,
            # Read anew each time, as credentials are: whoever renews certificates need not restart anybody.
            tls=None if self._authority is None else ssl.create_default_context(cafile=self._authority),
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=_CONNECT_TIMEOUT_S,
            ping_interval=_PING_INTERVAL_S,
            max_outstanding_pings=_MOST_PINGS,
            pending_size=-1,
            error_cb=self._note_error,
        )
        if peers.has_none and len(self._urls) > 1 and url not in self._passed_over:
            self._passed_over.add(url)
            raise MeshUnavailable(f"{_without_secret(url)} is alone, without its peers")
        if not peers.has_none:
            self._passed_over.clear()
        self._tap = transport.tap
        self._urls.extend(uri.geturl() for uri in client.discovered_servers if uri.geturl() not in self._urls)
        self.connects += 1  # before anything is received: who holds an older number knows that it missed something
        for renewed in tuple(self._on_renewal):
            renewed()
        self._write(b"".join(b"SUB %b %b\r\n" % (subject, sid) for sid, subject in self._subjects.items()))
        await self.flush(_CONNECT_TIMEOUT_S)
        for callback in tuple(self._on_up):
            await callback()
        self._was_ready = True
        self._ready.set()
        self._change("connected", "")

    async def _note_error(self, error: Exception) -> None:
        _log.info("%s: %s", self.name, error)

    def _lost(self, client: Client) -> None:
        if client is not self._client:
            return
        self._tap = None
        self._unsent.clear()
        self._down.set()
        self._answer_nobody()

    def _answer_nobody(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for give in waiting.values():
            give(None)

    async def _drop_client(self) -> None:
        is_lost = self._tap is None
        client, self._client, self._tap = self._client, None, None
        self._answer_nobody()
        if client is not None:
            self._ending = asyncio.create_task(_end(client, is_lost=is_lost), name=f"{self.name}: end of a connection")
        if self._ending is not None:
            await asyncio.shield(self._ending)  # a cancellation must not leave a socket behind

    # -- messages -----------------------------------------------------------------------------------------------

    def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Give each message on ``subject`` to ``handler``, also after reconnects.

        What was published before a later `flush` returned may not have been given.
        """
        subscription = Subscription(b"L%x" % next(self._ids))
        self._handlers[subscription] = handler
        self._subjects[subscription] = subject.encode()
        if self._tap is not None:
            self._write(b"SUB %b %b\r\n" % (self._subjects[subscription], subscription))
        return subscription

    def share(self, subject: str, queue: str, handler: Handler) -> Subscription:
        """Like `subscribe`, but of all who share ``subject`` under the same ``queue`` one gets each message."""
        return self.subscribe(f"{subject} {queue}", handler)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop; nothing more is given."""
        if self._handlers.pop(subscription, None) is not None:
            del self._subjects[subscription]
            if self._tap is not None:
                self._write(b"UNSUB %b\r\n" % subscription)

    async def drain(self, subscription: Subscription) -> None:
        """Stop, but give what was on its way; raises `MeshUnavailable` where that is not known."""
        if self._subjects.pop(subscription, None) is None:
            return
        try:
            if self._tap is not None:
                self._write(b"UNSUB %b\r\n" % subscription)
                await self.flush()
        finally:
            self._handlers.pop(subscription, None)

    def new_inbox(self) -> str:
        """A subject to ask for replies on, by a subscription of the caller's own: it, or tokens below it."""
        return f"{self._inbox.decode()}{next(self._ids):x}.in"

    def after_turn(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once everything that arrived with the message at hand is handled, or soon without one."""
        if self._tap is not None and self._tap.is_handling:
            self._tap.after_turn(callback)
        else:
            asyncio.get_running_loop().call_soon(callback)

    def rest(self, seconds: float) -> None:
        """Leave NATS unread for a while: what comes meanwhile is handled in one turn."""
        if self._tap is not None:
            self._tap.rest(seconds)

    def publish(self, subject: str, body: bytes, headers: bytes = b"", reply: bytes = b"") -> None:
        """Send, without an acknowledgement; ``headers`` is a block as `header_block` makes it.

        Raises `MeshUnavailable`.
        """
        if self._tap is None:
            raise self.unavailable()
        gap = b" " if reply else b""
        if headers:
            size = len(headers)
            self._write(
                b"HPUB %b %b%b%d %d\r\n%b%b\r\n" % (subject.encode(), reply, gap, size, size + len(body), headers, body)
            )
        else:
            self._write(b"PUB %b %b%b%d\r\n%b\r\n" % (subject.encode(), reply, gap, len(body), body))

    def ask(self, subject: str, body: bytes, give: Callable[[Reply | None], None], headers: bytes = b"") -> bytes:
        """Publish, and call ``give`` with each answer until `stop_asking`, or with None when the connection is lost.

        Returns what `stop_asking` takes. Raises `MeshUnavailable`.
        """
        token = b"%x" % next(self._ids)
        self.publish(subject, body, headers, self._inbox + token)
        self._waiting[token] = give
        return token

    def stop_asking(self, token: bytes) -> None:
        """No answer is wanted any more."""
        self._waiting.pop(token, None)

    async def request(
        self, subject: str, body: bytes, *, timeout_s: float, headers: bytes = b"", repeat: Repeat = Repeat.NEVER
    ) -> Reply:
        """Publish and return the answer; raises `MeshUnavailable` without one, at once when the connection is lost.

        A cluster may be asked again, as ``repeat`` says, until ``timeout_s``; the first answer counts.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply | None] = loop.create_future()

        def give(reply: Reply | None) -> None:
            if not answer.done():
                answer.set_result(reply)

        tokens = [self.ask(subject, body, give, headers)]
        timer = loop.call_later(timeout_s, give, None)
        try:
            if repeat is not Repeat.NEVER and self.is_clustered:
                again = partial(self._ask_again, tokens, subject, body, give, headers)
                reply = await self._answer_to(answer, again, repeat)
            else:
                reply = await answer
        finally:
            timer.cancel()
            for token in tokens:
                self.stop_asking(token)
        if reply is None:
            raise (
                self.unavailable() if self._tap is None else MeshUnavailable(f"no answer on {subject} in {timeout_s} s")
            )
        return reply

    def _ask_again(
        self, tokens: list[bytes], subject: str, body: bytes, give: Callable[[Reply | None], None], headers: bytes
    ) -> None:
        if self._tap is not None:  # else whoever waits is told already
            tokens.append(self.ask(subject, body, give, headers))

    async def _answer_to(
        self, answer: asyncio.Future[Reply | None], again: Callable[[], None], repeat: Repeat
    ) -> Reply | None:
        self._unanswered.add(answer, again)
        was_silent = False
        try:
            while repeat is Repeat.OFTEN and not (await asyncio.wait({answer}, timeout=OFTEN_S))[0]:
                was_silent = True
                again()
            reply = await answer  # it is done with None when the connection is lost
        finally:
            self._unanswered.remove(answer)
        if was_silent and reply is not None:
            self._unanswered.ask_again()
        return reply

    async def flush(self, timeout_s: float = 2.0) -> None:
        """Wait until the server has taken everything that was sent; raises `MeshUnavailable`."""
        try:
            self._send()
            await self.client.flush(max(1, round(timeout_s)))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise MeshUnavailable(f"NATS does not answer: {str(error) or 'timed out'}") from None

    def _write(self, data: bytes) -> None:
        if self._tap is None or self._tap.transport is None:
            raise self.unavailable()
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._send)
        self._unsent.append(data)

    def _send(self) -> None:
        """Send what was written in this turn of the event loop, in one system call: it costs more than the rest."""
        if self._unsent and self._tap is not None and self._tap.transport is not None:
            self._tap.transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def _answer(self, subject: bytes, _reply: bytes, headers: bytes, body: bytes) -> None:
        if give := self._waiting.get(subject[len(self._inbox) :]):
            give(Reply(headers, body))


async def _end(client: Client, *, is_lost: bool) -> None:
    if is_lost and isinstance(client._transport, TapTransport):  # noqa: SLF001 - as above
        client._transport.abort()  # noqa: SLF001 - or TLS would wait for a farewell
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_CLOSE_S):
            await client.close()
    if isinstance(client._transport, TapTransport):  # noqa: SLF001 - as above
        client._transport.abort()  # noqa: SLF001


def header_block(headers: dict[str, str]) -> bytes:
    """Headers as NATS wants them; CR, LF and NUL, which would forge others, are refused with `ValueError`."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not lines.count("\r") == lines.count("\n") == len(headers) or "\0" in lines:
        raise ValueError("a header has a line break or NUL in it")
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def _without_secret(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
