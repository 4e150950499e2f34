"""A write that comes to no end is told of while it lasts: those that ended are not all there is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from daena_mesh.errors import MeshUnavailable
from tests.chaos.load import Amounts, Load
from tests.support.deadlines import eventually

if TYPE_CHECKING:
    from tests.chaos.stage import Stage


async def test_a_write_is_on_its_way_until_it_is_acknowledged() -> None:
    load = Load(cast("Stage", None), Amounts(sessions=1))
    [subject] = load.said
    is_led = False

    async def publish() -> None:
        if not is_led:
            raise MeshUnavailable("there is no leader")
        load._stopping.set()

    writing = asyncio.create_task(
        load._keep_on(subject, 0.1, lambda _number: load._until_stored(subject, publish), load.stalls)
    )
    await eventually(lambda: "there is no leader" in load.longest()[1])
    assert load.longest()[1].startswith(subject)
    is_led = True
    await writing
    assert load.longest() == (0.0, "")
    assert (load.acked, load.books[subject].acked) == (1, {0})
