"""Which tests run in one process, and in which order, where several processes share them (`make test`)."""

from __future__ import annotations

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling

ALONE = ("browser/", "chaos/", "deploy/test_proxies.py", "fault/test_isolated.py")
"""What comes into being of networks here makes Chromium end what it is loading (ERR_NETWORK_CHANGED)."""

LONG = (
    "soak/",
    "hostile/test_openapi.py",
    "integration/test_adapters.py",
    "integration/test_bench.py",
    "integration/test_cluster_dev.py",
)
"""Each of these lasts for about a minute or two, mostly in a single test."""


def group_of(path: PurePath) -> str:
    """Say what runs in one process with the file at this ``path``, relative to ``tests``: itself, or all of `ALONE`."""
    return "networks and browsers" if path.as_posix().startswith(ALONE) else path.as_posix()


def turn_of(path: PurePath) -> tuple[bool, bool, bool]:
    """Sort what lasts longest to the front, and unit tests to the end, so that no process waits for another there."""
    name = path.as_posix()
    return not name.startswith(ALONE), not name.startswith(LONG), name.startswith("unit/")


class Together(LoadScopeScheduling):
    """Gives whole groups to processes, so what the tests of a file share is made once.

    xdist has groups of its own, by a mark. Its 3.8 writes them into names of tests that pytest 9.2 no longer reads, and
    gives each test to whoever is free.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(PurePath(nodeid.partition("::")[0]).relative_to("tests"))
