from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daena_mesh.data_lock import DataLock
from daena_mesh.errors import NatsServerError


async def test_a_server_that_this_process_has_just_ended_is_waited_for(tmp_path: Path) -> None:
    ending = await DataLock.acquire(tmp_path)
    asyncio.get_running_loop().call_later(0.1, ending.release)
    (await DataLock.acquire(tmp_path)).release()


async def test_a_server_that_stays_is_not(tmp_path: Path) -> None:
    held = await DataLock.acquire(tmp_path)
    try:
        with pytest.raises(NatsServerError, match="in use by process"):
            await DataLock.acquire(tmp_path)
    finally:
        held.release()
    held.release()
