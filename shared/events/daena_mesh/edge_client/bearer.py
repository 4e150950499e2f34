"""The token of a connection: asked for, and shown anew before it expires."""

from __future__ import annotations

import asyncio
import base64
import inspect
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec

GetToken = Callable[[], "Awaitable[str | None] | str | None"]

_LEAD_S = 60.0
_LEAST_S = 0.5
_LOOK_EVERY_S = 30.0
"""A machine that sleeps stops the clocks that timers go by."""


class _Claims(msgspec.Struct):
    exp: float


def expiry_of(token: str) -> float | None:
    """Until when a JSON Web Token is good, in seconds since 1970 on its maker's clock; None where it does not say."""
    try:
        claims = token.split(".")[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)), type=_Claims).exp
    except (IndexError, ValueError, msgspec.MsgspecError):
        return None


class Bearer:
    """The token that one client shows."""

    def __init__(self, token: str | GetToken | None) -> None:
        """A text, or what gives one whenever it is asked."""
        self._source = token
        self._token: str | None = None
        self._ahead_s = 0.0
        self._taken = asyncio.Event()

    @property
    def renews(self) -> bool:
        """Whether there can be another one."""
        return callable(self._source)

    async def ask(self) -> str | None:
        """The token to connect with."""
        self._taken.clear()
        self._token = await self._get()
        return self._token

    def taken(self, timestamp: object = None) -> None:
        """The server took it, at a time on its clock, which counts: this machine's may be wrong."""
        if isinstance(timestamp, str):
            try:
                self._ahead_s = datetime.fromisoformat(timestamp).timestamp() - time.time()
            except ValueError:
                self._ahead_s = 0.0
        self._taken.set()

    async def keep(self, show: Callable[[str], Awaitable[None]]) -> None:
        """Show another one a minute before it expires, or when two thirds of what is left have passed.

        Where there is no other one yet it is asked for again, until it is too late; then the server says so.
        """
        if not self.renews:
            return
        await self._taken.wait()
        while (expiry := expiry_of(self._token or "")) is not None:
            left = expiry - self._ahead_s - time.time()
            if left <= _LEAST_S:
                return
            due = time.time() + left - min(_LEAD_S, left / 3)
            while (wait := due - time.time()) > 0:  # noqa: ASYNC110 - a clock is no event
                await asyncio.sleep(min(wait, _LOOK_EVERY_S))
            try:
                token = await self._get()
            except Exception:  # noqa: BLE001 - it is the application's, and asked again
                token = None
            if token and token != self._token:
                self._token = token
                await show(token)

    async def _get(self) -> str | None:
        if not callable(self._source):
            return self._source
        given = self._source()
        return await given if inspect.isawaitable(given) else given
