"""A real nats-server as a child process: ready when started, gone when its parent is gone."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from daena_mesh.data_lock import DataLock
from daena_mesh.errors import NatsServerError
from daena_mesh.guardian import Guarded
from daena_mesh.nats_binary import find_binary
from daena_mesh.nats_config import Membership, NatsConfig, Ports, Trust, client_url, read_ports, running_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["NatsServer", "find_binary"]

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 5.0
_POLL_S = 0.004
_QUOTED_LOG_LINES = 4


class NatsServer:
    """A running nats-server with JetStream in a data directory, listening on loopback unless told otherwise.

    Use it as a context manager, or call :meth:`stop`::

        async with await NatsServer.start(Path(".mesh"), port=0) as server:
            await nats.connect(server.url)
    """

    def __init__(self, chain: Guarded, config: NatsConfig, ports: Ports) -> None:
        self._chain = chain
        self._config = config
        self._ports = ports

    @property
    def url(self) -> str:
        """The URL for clients on this machine."""
        return client_url(self._config.host, self._ports.port)

    @property
    def monitoring_url(self) -> str:
        """The base of ``/varz``, ``/connz``, ``/jsz``."""
        return client_url(self._config.host, self._ports.monitoring_port).replace("nats://", "http://")

    @property
    def pid(self) -> int:
        """Process id of the nats-server itself."""
        return self._ports.pid

    @property
    def port(self) -> int:
        """The port for clients."""
        return self._ports.port

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self._config.log_path

    @staticmethod
    def was_cut_off(data_dir: Path) -> bool:
        """Whether the last server in a directory did not end well: what it wrote lazily may be lost.

        True also while one runs there.
        """
        return running_path(data_dir).exists()

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 4222,
        log_path: Path | None = None,
        accounts: Mapping[str, str] | None = None,
        trust: Trust | None = None,
        is_durable: bool = True,
        membership: Membership | None = None,
        launcher: Sequence[str] = (),
    ) -> NatsServer:
        """Start a server and return once clients can connect.

        Args:
            data_dir: holds streams, configuration, lock and log; made when absent, for the owner alone.
            host: address to listen on.
            port: port for clients; 0 takes a free one, see :attr:`port`.
            log_path: the log; by default ``nats-server.log`` in ``data_dir``.
            accounts: the passwords of accounts, by the name that the account and its user have.
            trust: whose credentials it takes, and nobody else's.
            is_durable: what was acknowledged survives a power cut.
            membership: makes it one of several servers; clients can connect before the others are there.
            launcher: what runs it, such as ``("ip", "netns", "exec", "n1")``; by default it is run as it is.

        Raises:
            NatsServerError: no binary, the directory is in use, the port is taken, or the server ended
                at once (the sentence quotes its last log lines).
        """
        binary = find_binary()
        config = replace(
            _prepare(data_dir, host, port, log_path),
            accounts=dict(accounts or {}),
            trust=trust,
            is_durable=is_durable,
            membership=membership,
        )
        lock = await DataLock.acquire(config.data_dir)
        try:
            _write(config)
            command = (str(binary), "-c", str(config.path))
            chain = await Guarded.spawn(command, config.running_path, config.log_path, lock, launcher)
        except OSError as error:
            lock.release()
            raise NatsServerError(f"nats-server could not be started in {data_dir}: {error}") from error
        except BaseException:
            lock.release()
            raise
        try:
            return cls(chain, config, await _ready(chain, config))
        except BaseException:
            await chain.end()
            raise

    async def stop(self) -> None:
        """End the server and wait until it is gone: politely, after 5 s by SIGKILL. Safe to call twice."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._chain.process.wait(), STOP_DEADLINE_S)
        except TimeoutError:
            self._signal(signal.SIGKILL)
        await self.wait()

    def kill(self) -> None:
        """End the server at once, as a crash would; :meth:`wait` tells when it is gone."""
        self._signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until the server has ended.

        Returns:
            Its exit status; negative, the signal that ended it.
        """
        return await self._chain.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def _signal(self, number: signal.Signals) -> None:
        # While the guardian lives it has not reaped the server, so the id is still the server's.
        if self._chain.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _prepare(data_dir: Path, host: str, port: int, log_path: Path | None) -> NatsConfig:
    data_dir = data_dir.absolute()
    log_path = (log_path or data_dir / "nats-server.log").absolute()
    config = NatsConfig(data_dir=data_dir, host=host, port=port, log_path=log_path)
    config.render()
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        config.ports_dir.mkdir(exist_ok=True)
    except OSError as error:
        raise NatsServerError(f"the data directory {data_dir} cannot be used: {error.strerror}") from error
    return config


def _write(config: NatsConfig) -> None:
    for stale in config.ports_dir.glob("*.ports"):
        stale.unlink()
    config.path.write_text(config.render(), encoding="utf-8")
    with config.running_path.open("wb") as running:
        os.fsync(running.fileno())


async def _ready(chain: Guarded, config: NatsConfig) -> Ports:
    ended = asyncio.ensure_future(chain.process.wait())
    try:
        async with asyncio.timeout(START_DEADLINE_S):
            while True:
                ports = read_ports(config.ports_dir)
                if ports is not None:
                    return ports
                if (await asyncio.wait({ended}, timeout=_POLL_S))[0]:
                    raise NatsServerError(_why_it_ended(config))
    except TimeoutError as error:
        tail = _log_tail(config.log_path)
        raise NatsServerError(f"nats-server was not ready within {START_DEADLINE_S:.0f} s: {tail}") from error
    finally:
        ended.cancel()


def _why_it_ended(config: NatsConfig) -> str:
    if config.port and _is_taken(config.host, config.port):
        return (
            f"port {config.port} on {config.host} is taken by another program: "
            "choose another with --nats-port (0 takes a free one)"
        )
    return f"nats-server ended at its start: {_log_tail(config.log_path)}"


def _is_taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _log_tail(path: Path) -> str:
    with path.open("rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - 4096))
        lines = log.read().decode(errors="replace").splitlines()
    reasons = [line for line in lines[-_QUOTED_LOG_LINES:] if "[FTL]" in line or "[ERR]" in line]
    return f"{' / '.join(reasons or lines[-_QUOTED_LOG_LINES:])} (see {path})"
