"""Fixtures that every test may ask for: a real nats-server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from daena_mesh.embedded import NatsServer
from tests.support.real_parties import (
    chromium,
    nats_cli,
    pytest_make_collect_report,
    pytest_runtest_makereport,
)

__all__ = [
    "chromium",
    "nats_cli",
    "nats_server",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "shared_nats",
]


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Give a nats-server of the test's own, on a free port, empty."""
    async with await NatsServer.start(tmp_path / "nats", port=0) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    """Give one nats-server to all tests of a module, which keep apart by their ids."""
    async with await NatsServer.start(tmp_path_factory.mktemp("nats"), port=0) as server:
        yield server
