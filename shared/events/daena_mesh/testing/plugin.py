"""The pytest plugin: fixtures ``mesh_server``, ``mesh_url``, ``mesh``, ``recorder`` and ``mesh_api``.

pytest finds it by itself where daena-mesh is installed. This is the one module that imports pytest.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from daena_mesh.mesh import Mesh
    from daena_mesh.testing.recorder import Recorder
    from daena_mesh.testing.server import Account, MeshServer

_ELSEWHERE = ("MESH_NATS_CONTEXT", "MESH_NATS_CREDS")


@pytest.fixture(scope="session")
def mesh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshServer]:
    """One real nats-server for the session; ``with mesh_server.account() as account`` gives more meshes."""
    from daena_mesh.testing.server import MeshServer

    server = MeshServer(tmp_path_factory.mktemp("mesh-server"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def _mesh_account(mesh_server: MeshServer) -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as environment:
        for name in _ELSEWHERE:
            environment.delenv(name, raising=False)
        with mesh_server.account() as account:
            _close_sync()
            environment.setenv("MESH_NATS_URL", account.url)
            try:
                yield account
            finally:
                _close_sync()


@pytest.fixture
def mesh_url(_mesh_account: Account) -> str:
    """The URL of the test's own mesh; ``MESH_NATS_URL`` has it too, so emitters and `Mesh.connect` go there."""
    return _mesh_account.url


@pytest.fixture
def recorder(_mesh_account: Account) -> Recorder:
    """Every event of the test's own mesh: ``await recorder.expect("chat.message", sender="scout")``."""
    return _mesh_account.recorder


@pytest.fixture
def mesh_api(_mesh_account: Account, tmp_path: Path) -> Iterator[str]:
    """The address of an API of the test's own mesh, for REST calls, and for agents that are to be asked something."""
    from daena_mesh.testing.api import api

    with api(_mesh_account.url, tmp_path / "mesh-api.log") as address:
        yield address


def _close_sync() -> None:
    """The connection of `daena_mesh.sync` is one for the process; no test shall have that of another."""
    if sync := sys.modules.get("daena_mesh.sync"):
        sync.close()


if importlib.util.find_spec("pytest_asyncio") is not None:
    import pytest_asyncio

    @pytest_asyncio.fixture(loop_scope="function")
    async def mesh(mesh_url: str) -> AsyncIterator[Mesh]:
        """A `Mesh` that is connected to the test's own mesh, for tests that are coroutines."""
        from daena_mesh.emitters import close_default_mesh
        from daena_mesh.mesh import Mesh

        try:
            async with Mesh.connect(mesh_url, name="test") as mesh:
                yield mesh
        finally:
            await close_default_mesh()

else:

    @pytest.fixture
    def mesh() -> Mesh:
        """Say what is missing."""
        pytest.fail(
            "the fixture `mesh` needs pytest-asyncio (pip install pytest-asyncio); without it there are `mesh_url`, "
            "`recorder.wait_for` and the emitters of daena_mesh.sync",
            pytrace=False,
        )
