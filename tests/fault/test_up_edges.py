"""The whole mesh with two edges of its own, one of which is killed while people write through the API."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.deadlines import eventually, within
from tests.support.processes import children_of
from tests.support.running_mesh import RunningMesh
from tests.support.ws_client import Client, Ledger

MESSAGES = 300


async def follow(urls: list[str], ledger: Ledger) -> set[str]:
    """Read all messages of a session, coming back at the next edge whenever one is gone; returns who served them."""
    served: set[str] = set()
    turn = 0
    while len(said(ledger)) < MESSAGES:
        url = urls[turn % len(urls)]
        turn += 1
        try:
            async with Client(f"ws{url.removeprefix('http')}/ws/chat/s1", ledger=ledger) as client:
                served.add(url)
                while len(said(ledger)) < MESSAGES:
                    await client.frame()
        except (ConnectionClosed, OSError):
            continue
    return served


def said(ledger: Ledger) -> list[str]:
    return [event["payload"]["content"] for event in ledger.events if event["event_type"] == "chat.message"]


@pytest.mark.promise("P-RESUME-2", "P-FANOUT-1")
async def test_what_is_written_through_the_api_reaches_both_edges_and_one_may_die(tmp_path: Path) -> None:
    async with within(60), RunningMesh(tmp_path, "--edges", "2") as mesh, httpx.AsyncClient(base_url=mesh.url) as api:
        first, second = mesh.edge_urls
        ledgers = [Ledger(), Ledger(), Ledger()]
        following = [
            asyncio.create_task(follow(urls, ledger))
            for urls, ledger in zip([[first, second], [second, first], [mesh.url]], ledgers, strict=True)
        ]
        await eventually(lambda: all(ledger.newest for ledger in ledgers))
        for i in range(MESSAGES):
            body = {"message": str(i), "session_id": "s1"}
            (await api.post("/api/v1/daena/chat", json=body)).raise_for_status()
            if i == MESSAGES // 3:
                await eventually(lambda: all(said(ledger) for ledger in ledgers))
                edges = [pid for pid, command in (await children_of(mesh.pid)).items() if " edge " in command]
                os.kill(edges[0], signal.SIGKILL)
        served = await asyncio.gather(*following)
        assert sorted(map(len, served)) == [1, 1, 2], "one of the two had to go to the other edge"
        for ledger in ledgers:
            assert said(ledger) == [str(i) for i in range(MESSAGES)]
