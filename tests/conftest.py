"""Fixtures that every test may ask for: a real nats-server, a whole mesh."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings
from xdist.remote import Producer

from daena_mesh.embedded import NatsServer
from tests.support.bounded import bound
from tests.support.real_parties import (
    REQUIRE,
    chromium,
    nats_cli,
    nginx,
    pytest_make_collect_report,
    pytest_runtest_makereport,
)
from tests.support.running_mesh import RunningMesh
from tests.support.together import Together, turn_of

__all__ = [
    "chromium",
    "mesh_up",
    "nats_cli",
    "nats_server",
    "nginx",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "shared_mesh",
    "shared_nats",
]


settings.register_profile("mesh", deadline=None)  # a loaded machine is no failure
settings.load_profile("mesh")


@pytest.fixture(autouse=True, scope="session")
def away_from_the_users_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests and the mesh that this user may run apart: neither finds the other, nor its settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("MESH_", "OPENAI_")) and name != REQUIRE:
                patch.delenv(name)
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


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


@pytest_asyncio.fixture
async def mesh_up(tmp_path: Path) -> AsyncIterator[RunningMesh]:
    """Give a `mesh up` of the test's own, on free ports, empty."""
    async with RunningMesh(tmp_path / "mesh") as mesh:
        yield mesh


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMesh]:
    """Give one `mesh up` to all tests of a module, which keep apart by their ids."""
    async with RunningMesh(tmp_path_factory.mktemp("mesh")) as mesh:
        yield mesh


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what lasts longest, and have none wait for ever."""
    items.sort(key=lambda item: turn_of(item.path.relative_to(Path(__file__).parent)))
    for item in items:
        bound(item)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    """Keep each file in one process, and in one and the same those that would disturb each other."""
    return Together(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: some are masked at random, and all processes must know a test by the same name."""
    return argname if isinstance(val, bytes) else None
