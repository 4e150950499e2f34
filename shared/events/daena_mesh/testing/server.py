"""One real nats-server for many tests, each of which has an account of its own on it.

Accounts share nothing: the same subjects, streams and ids in two of them are different ones, so tests may run at the
same time and nothing of one reaches another. No account is given twice, since a client that a test has left behind may
still be there. They are in the configuration from the start: while a server reads another one its streams are away.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from daena_mesh.embedded import NatsServer
from daena_mesh.mesh import Mesh
from daena_mesh.settings import MeshSettings, load
from daena_mesh.testing.background import Background
from daena_mesh.testing.recorder import Recorder

_ACCOUNTS = 64
_READY_S = 10.0


class Account:
    """A mesh of a test's own: its streams are there, and a recorder is running."""

    def __init__(self, url: str, mesh: Mesh, recorder: Recorder) -> None:
        self.url = url
        """For `MESH_NATS_URL` and `Mesh.connect`: it has the name and the password of the account in it."""
        self.recorder = recorder
        self.mesh = mesh
        """The one that keeps the streams, on a loop of its own: for other code there is `url`."""


class MeshServer:
    """A nats-server that hands out accounts, and the next one once it has no more.

    It ends with `stop`, and with this process, however that ends.
    """

    def __init__(self, folder: Path, *, accounts: int = _ACCOUNTS) -> None:
        """Start it; ``folder`` is empty, and holds what is stored. Each server has so many ``accounts``.

        Raises `NatsServerError`.
        """
        self._folder = folder
        self._accounts = accounts
        self._started = 0
        self._ending: list[Future[None]] = []
        self._background = Background("daena-mesh testing")
        try:
            self._house = self._background.run(self._next_house())
        except BaseException:
            self._background.stop()
            raise

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._house.server.port

    @contextlib.contextmanager
    def account(self) -> Iterator[Account]:
        """Give an account of one's own for a block, empty, with the streams of the settings of this moment.

        Raises `ConfigurationError` for those, and `MeshUnavailable`.
        """
        if not self._house.free:
            self._house = self._background.run(self._next_house())
        house = self._house
        account = self._background.run(house.open(self._background))
        try:
            yield account
        finally:
            self._ending.append(self._background.begin(house.close(account)))

    def stop(self) -> None:
        """End the server, and what is left of the accounts."""
        try:
            for ending in self._ending:
                ending.result()
            self._background.run(self._house.end())
        finally:
            self._background.stop()

    async def _next_house(self) -> _House:
        self._started += 1
        secret = secrets.token_hex(8)
        names = [f"test{self._started}-{number}" for number in range(self._accounts)]
        accounts = dict.fromkeys(names, secret)
        folder = self._folder / str(self._started)
        server = await NatsServer.start(folder, port=0, accounts=accounts, is_durable=False)
        return _House(server, folder, [f"nats://{name}:{secret}@127.0.0.1:{server.port}" for name in names])


class _House:
    """A nats-server, the URLs of the accounts that nobody has had yet, and how many of the others are in use."""

    def __init__(self, server: NatsServer, folder: Path, free: list[str]) -> None:
        self.server = server
        self.free = free
        self._folder = folder
        self._in_use = 0

    async def open(self, background: Background) -> Account:
        """Hand out an account, with its streams and a recorder."""
        url = self.free.pop()
        self._in_use += 1
        try:
            return await self._furnish(url, background)
        except BaseException:
            self._in_use -= 1
            raise

    async def _furnish(self, url: str, background: Background) -> Account:
        mesh = Mesh(load(MeshSettings, nats_url=url), name="mesh-testing", wait_s=_READY_S, provisions=True)
        await mesh.__aenter__()
        try:
            recorder = Recorder(background, mesh)
            await recorder.start()
        except BaseException:
            await mesh.close()
            raise
        return Account(url, mesh, recorder)

    async def close(self, account: Account) -> None:
        """Nobody uses an account any more; the last one ends a server that has no other to hand out."""
        self._in_use -= 1
        await account.mesh.close()
        if not self._in_use and not self.free:
            await self.end()

    async def end(self) -> None:
        """End the server and forget what it stored; without it in good order, which takes seconds."""
        self.server.kill()
        await self.server.wait()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
