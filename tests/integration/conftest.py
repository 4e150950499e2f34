"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from daena_mesh import Mesh
from daena_mesh.embedded import NatsServer
from tests.support.api import shared_api
from tests.support.edge import provisioned_mesh

__all__ = ["mesh", "shared_api"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(shared_nats: NatsServer) -> AsyncIterator[Mesh]:
    """Give a mesh on the module's own nats-server, with all streams made."""
    async with provisioned_mesh(shared_nats.url) as mesh:
        yield mesh
