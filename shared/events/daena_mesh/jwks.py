"""Public keys from an address (JWKS): fetched now and then, and when a token names one that nobody knows.

One task fetches, so there is never more than one request under way, and never one within `PAUSE_S` of the last,
whatever tokens name. While the address does not answer the keys are kept for a day. A key that is no longer published
counts no more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from daena_mesh.errors import ConfigurationError
from daena_mesh.fetching import FetchFailed, checked_url, fetch
from daena_mesh.public_keys import PublicKey, read_jwks

PAUSE_S = 10.0
KEPT_S = 86_400.0
_log = logging.getLogger(__name__)


class Jwks:
    """The keys of one address."""

    def __init__(
        self,
        url: str,
        *,
        refresh_s: float = 300,
        pause_s: float = PAUSE_S,
        kept_s: float = KEPT_S,
        get: Callable[[str], Awaitable[bytes]] = fetch,
    ) -> None:
        """``refresh_s`` lies between two looks at most, ``pause_s`` at least, and keys last ``kept_s`` without one.

        Raises `ConfigurationError`.
        """
        try:
            checked_url(url)
        except ConfigurationError as error:
            raise ConfigurationError(f"MESH_JWKS_URL: {error}") from None
        self.keys: tuple[PublicKey, ...] = ()
        self.fetches = 0
        self.failures = 0
        self._url = url
        self._refresh_s = max(refresh_s, pause_s)
        self._pause_s = pause_s
        self._kept_s = kept_s
        self._get = get
        self._waiting: list[Callable[[], object]] = []
        self._wanted = asyncio.Event()
        self._is_fetching = True
        """Also before it runs: what comes in meanwhile waits for the first fetch."""
        self._began = self._known = float("-inf")

    @property
    def is_known(self) -> bool:
        """Whether they were fetched, within the time for which they are kept."""
        return bool(self.keys)

    @property
    def may_bring_more(self) -> bool:
        """Whether a key that is missing may be there after `fetched`."""
        return self._is_fetching or time.monotonic() - self._began >= self._pause_s

    def when_fetched(self, go: Callable[[], object]) -> None:
        """Call ``go`` after the fetch that is under way, or one that begins now; within seconds, in any case."""
        self._waiting.append(go)
        self._wanted.set()

    async def fetched(self) -> None:
        """Wait for the same."""
        is_over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def go() -> None:
            if not is_over.done():  # else who waited was cancelled
                is_over.set_result(None)

        self.when_fetched(go)
        await is_over

    async def run(self, changed: Callable[[], None] | None = None) -> None:
        """Fetch, for ever; ``changed`` is called where other keys count than before."""
        try:
            while True:
                before = {key.ident for key in self.keys}
                is_fine = await self._fetch()
                if changed is not None and before != {key.ident for key in self.keys}:
                    changed()
                await self._rest(self._refresh_s if is_fine else self._pause_s)
        finally:
            self._let_go()

    async def _fetch(self) -> bool:
        self._is_fetching, self._began = True, time.monotonic()
        self.fetches += 1
        try:
            keys = read_jwks(await self._get(self._url))
        except (FetchFailed, ValueError) as error:
            self._failed(error)
            return False
        else:
            self.keys, self._known = tuple(keys), time.monotonic()
            return True
        finally:
            self._let_go()

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        if time.monotonic() - self._known >= self._kept_s:
            self.keys = ()
        kept = f"{len(self.keys)} keys are kept" if self.keys else "no token of theirs can be checked"
        _log.warning("the public keys of tokens (MESH_JWKS_URL) cannot be had: %s; %s", error, kept)

    def _let_go(self) -> None:
        self._is_fetching = False
        self._wanted.clear()
        waiting, self._waiting = self._waiting, []
        for go in waiting:
            go()

    async def _rest(self, rest_s: float) -> None:
        """Until it is time, or a key is missing, but never too short."""
        try:
            async with asyncio.timeout(rest_s):
                await self._wanted.wait()
        except TimeoutError:
            return
        await asyncio.sleep(max(0.0, self._began + self._pause_s - time.monotonic()))
