"""A network of the run's own: a bridge, and a namespace with an address for each process that may be cut off.

Needs root, Linux and `ip`. What clients connect to is a socket of the machine's own namespace, which the process has
inherited: cutting its network cuts what it needs, and not those that it serves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

_NOBODY = "02:00:00:00:00:fe"
"""A hardware address that no interface has: what is sent there is gone, without an error."""


def can_make_networks() -> bool:
    """Whether this machine lets us."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("ip") is not None


class Network:
    """A context manager that leaves nothing behind. ``names`` are those who get a namespace."""

    def __init__(self, names: Sequence[str]) -> None:
        tag = f"{os.getpid() % 0x10000:x}"
        self.names = list(names)
        self._tag = tag
        self._bridge = f"mcb{tag}"
        self._prefix = f"10.{97 + os.getpid() % 100}.{os.getpid() // 100 % 250}"

    def __enter__(self) -> Self:
        try:
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("addr", "add", f"{self._prefix}.1/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
            for name in self.names:
                self._add(name)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def address(self, name: str) -> str:
        """Where others find ``name``."""
        return f"{self._prefix}.{10 + self.names.index(name)}"

    def launcher(self, name: str) -> tuple[str, ...]:
        """What starts a process in the namespace of ``name``."""
        return ("ip", "netns", "exec", self._space(name))

    def cut(self, name: str) -> None:
        """Nothing reaches ``name``, and nothing that it sends arrives: a black hole, no error."""
        _ip("link", "set", self._link(name), "down")

    def join(self, name: str) -> None:
        """Undo `cut`."""
        _ip("link", "set", self._link(name), "up")

    def cut_between(self, one: str, other: str) -> None:
        """They do not reach each other any more, and everybody else does."""
        for near, far in ((one, other), (other, one)):
            self._within(
                near, "neigh", "replace", self.address(far), "lladdr", _NOBODY, "dev", "eth0", "nud", "permanent"
            )

    def join_between(self, one: str, other: str) -> None:
        """Undo `cut_between`."""
        for near, far in ((one, other), (other, one)):
            self._within(near, "neigh", "del", self.address(far), "dev", "eth0")

    def _space(self, name: str) -> str:
        return f"mc{self._tag}{name}"

    def _link(self, name: str) -> str:
        return f"v{self._tag}{name.replace('-', '')}"[:15]

    def _within(self, name: str, *arguments: str) -> None:
        _ip("-n", self._space(name), *arguments)

    def _add(self, name: str) -> None:
        _ip("netns", "add", self._space(name))
        _ip("link", "add", self._link(name), "type", "veth", "peer", "name", "eth0", "netns", self._space(name))
        _ip("link", "set", self._link(name), "master", self._bridge)
        _ip("link", "set", self._link(name), "up")
        self._within(name, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
        self._within(name, "link", "set", "eth0", "up")
        self._within(name, "link", "set", "lo", "up")

    def _remove(self) -> None:
        for name in self.names:
            _ip("netns", "del", self._space(name), check=False)
            _ip("link", "del", self._link(name), check=False)
        _ip("link", "del", self._bridge, check=False)


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=not check, timeout=20)
