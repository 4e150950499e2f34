"""What is remembered for those who catch up, and what becomes of those who leave meanwhile.

The decisions alone: the topic and the log below are as much of them as `CatchUp` looks at here.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from daena_mesh.chain import Chain
from daena_mesh.cursors import Cursor, Positions
from daena_mesh.errors import MeshUnavailable
from daena_mesh.log import Log
from mesh_edge.catchup import CatchUp
from mesh_edge.protocol import HandoverProtocol
from mesh_edge.reader import Reader
from mesh_edge.socket import Socket
from mesh_edge.tail import Tail
from mesh_edge.topic import Topic


class Group:
    """A topic at sequence 10 of RECORDS."""

    def __init__(self) -> None:
        self.chain = Chain(whole=False)
        self.chain.begin(10)
        self.follower = SimpleNamespace(
            is_live=True,
            is_healing=False,
            heard={"RECORDS": self.chain},
            silent=(),
            position=lambda _stream: Cursor("R", "abc", self.chain.position),
        )
        self.is_degraded = False
        self.takes_readers = True
        self.catch_up: CatchUp | None = None
        self.told: list[str] = []

    def chains(self) -> list[tuple[str, Chain]]:
        return [("RECORDS", self.chain)]

    def __getattr__(self, name: str) -> Any:
        return lambda *_args, **_named: self.told.append(name)


class Client:
    """A reader."""

    positions: dict[str, int] | None = None
    is_drained = True
    lived = ()


class Away:
    """A log whose stream does not answer."""

    async def bounds(self, stream: str) -> tuple[int, int]:
        raise MeshUnavailable(stream)


async def test_nothing_is_remembered_while_nobody_catches_up() -> None:
    catch_up = CatchUp(cast("Topic", Group()), cast("Log", Away()))
    catch_up.remember("RECORDS", 1, 0, b"frame")
    assert catch_up._tail is None


async def test_one_that_leaves_while_its_position_is_looked_up_does_not_come_back() -> None:
    group = Group()
    catch_up = CatchUp(cast("Topic", group), cast("Log", Away()))
    reader = cast("Reader", Client())
    catch_up.arrive(reader, Positions.parse("Rabc-99"))
    assert catch_up.is_waiting(reader)
    catch_up.leave(reader)
    await asyncio.gather(*catch_up._tasks)
    assert not catch_up.is_waiting(reader)
    assert "set_ready" not in group.told


def test_a_client_that_has_gone_is_not_handed_over() -> None:
    protocol = object.__new__(HandoverProtocol)
    protocol.transport = cast("asyncio.Transport", SimpleNamespace(is_closing=lambda: True))
    taken: list[object] = []
    with pytest.raises(ClientDisconnected):
        protocol.hand_over(lambda transport, _: cast("Socket", taken.append(transport)))
    assert taken == []


async def test_who_must_read_once_more_does_not_take_away_what_others_wait_for() -> None:
    """One has come to 10, but what was shown since is forgotten; others wait for the piece behind 10."""
    group = Group()
    group.catch_up = catch_up = CatchUp(cast("Topic", group), cast("Log", Away()))
    one, other = Client(), Client()
    one.positions = {"RECORDS": 10}
    catch_up.begin(cast("Reader", other), {"RECORDS": 10})
    chunk = catch_up._chunks[False, 10]
    catch_up._ahead[cast("Reader", one)] = None
    catch_up._tail = Tail()
    catch_up._tail._forgotten = {"RECORDS": 12}
    catch_up._settle(cast("Reader", one))
    assert catch_up._chunks[False, 10] is chunk
    await asyncio.sleep(0)
    assert cast("list[object]", chunk.waiting) == [other, one]
    # A piece that is there has nothing that came since.
    chunk.waiting = None
    catch_up._fetching.clear()
    catch_up._ahead[cast("Reader", one)] = None
    catch_up._settle(cast("Reader", one))
    assert catch_up._chunks == {}
    catch_up.stop()
