"""`/metrics` as Prometheus reads it, and the table in docs/operations.md against what is really told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from daena_mesh.connection import Connection
from daena_mesh.embedded import NatsServer
from mesh_api.settings import ApiSettings
from tests.support.api import running_api
from tests.support.commands import mesh as mesh_command
from tests.support.deadlines import eventually
from tests.support.edge_command import edge_command
from tests.support.running_mesh import RunningMesh
from tests.support.ws_client import Client

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


async def families(url: str) -> dict[str, Metric]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{url}/metrics", timeout=20)
    answer.raise_for_status()
    return parsed(answer.text)


def parsed(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(family: Metric, suffix: str = "", **labels: str) -> float:
    found = [s.value for s in family.samples if s.name.endswith(suffix) and labels.items() <= s.labels.items()]
    assert len(found) == 1, (family, labels)
    return found[0]


def names(found: Iterable[Metric]) -> set[str]:
    """The names as they are written; the parser takes the end of a counter's away."""
    return {f"{family.name}_total" if family.type == "counter" else family.name for family in found}


def documented() -> set[str]:
    lines = DOCUMENT.read_text(encoding="utf-8").partition("## Metrics")[2].splitlines()
    firsts = [line.split("|")[1] for line in lines if line.startswith("| `mesh_")]
    return {name for first in firsts for name in re.findall(r"`(mesh_\w+)", first)}


SECURED = {"mesh_nats_denied_total"}
"""Told where NATS takes credentials alone: `test_denials.py`."""


async def test_the_table_names_what_is_told_and_nothing_else(mesh_up: RunningMesh, tmp_path: Path) -> None:
    (tmp_path / "edge").mkdir()
    async with edge_command(mesh_up.nats_url, "--workers", "2", folder=tmp_path / "edge") as edge:
        told = names((await families(mesh_up.url)).values()) | names((await families(edge.url)).values())
    assert told == documented() - SECURED


async def test_an_event_that_is_shown_is_timed(mesh_up: RunningMesh) -> None:
    async with Client(f"ws{mesh_up.url.removeprefix('http')}/ws/chat/timed") as client, httpx.AsyncClient() as http:
        body = {"message": "now", "session_id": "timed", "sender": "ada"}
        (await http.post(f"{mesh_up.url}/api/v1/daena/chat", json=body)).raise_for_status()
        await client.next("chat.message")
        told = await families(mesh_up.url)
    assert value(told["mesh_edge_delivery_seconds"], "_count") >= 1
    assert value(told["mesh_api_ack_seconds"], "_count") >= 1

    async def is_watched() -> bool:
        told = await families(mesh_up.url)
        return all(value(told[f"mesh_{who}_loop_lag_seconds"], "_count") >= 2 for who in ("api", "edge"))

    await eventually(is_watched)


async def test_questions_are_counted_as_they_wait_and_are_given_out_again(mesh_up: RunningMesh) -> None:
    connection = Connection([mesh_up.nats_url], name="slow agent")
    taken: list[bytes] = []
    connection.subscribe("_INBOX.taken", lambda _subject, _reply, _headers, body: taken.append(body))
    connection.start()

    async def told() -> dict[str, float]:
        samples = (await families(mesh_up.url))["mesh_api_asks"].samples
        return {sample.labels["state"]: sample.value for sample in samples}

    async def waits() -> bool:
        return await told() == {"waiting": 3, "at_work": 0, "redelivered": 0}

    async def take() -> None:
        before = len(taken)
        connection.publish("$JS.API.CONSUMER.MSG.NEXT.ASKS.slow", b"{}", reply=b"_INBOX.taken")
        await eventually(lambda: len(taken) > before, within_s=30)

    async def is_taken_again() -> bool:
        await take()
        counts = await told()
        return (counts["waiting"], counts["at_work"]) == (0, 3) and counts["redelivered"] >= 1

    try:
        await connection.wait_ready(5)
        config = {"durable_name": "slow", "filter_subject": "ask.slow.>", "ack_policy": "explicit", "ack_wait": 10**9}
        request = msgspec.json.encode({"stream_name": "ASKS", "config": config})
        await connection.request("$JS.API.CONSUMER.CREATE.ASKS.slow.ask.slow.>", request, timeout_s=5)
        for _ in range(3):
            await connection.request("ask.slow.one", b"anybody?", timeout_s=5)
        await eventually(waits, within_s=30)
        await eventually(is_taken_again, within_s=45)
    finally:
        await connection.close()


@pytest.mark.timeout(120)
async def test_they_are_counted_with_the_credentials_of_a_service(tmp_path: Path) -> None:
    data_dir = tmp_path / "mesh" / ".mesh"
    made = await asyncio.to_thread(mesh_command, "creds", "init", "--data-dir", str(data_dir))
    assert made.returncode == 0, made
    async with RunningMesh(tmp_path / "mesh", "--secure") as mesh:

        async def is_told() -> bool:
            return len((await families(mesh.url))["mesh_api_asks"].samples) == 3

        await eventually(is_told, within_s=30)


async def test_tokens_that_are_refused_are_counted(nats_server: NatsServer) -> None:
    settings = ApiSettings(nats_url=nats_server.url, token_key="k" * 32)
    async with running_api(nats_server.url, settings=settings) as api:
        await api.client.get("/api/v1/agents")
        await api.client.get("/api/v1/agents", headers={"Authorization": "Bearer nonsense"})
        told = parsed((await api.client.get("/metrics")).text)
    assert value(told["mesh_api_auth_failures"], reason="no-token") == 1
    assert value(told["mesh_api_auth_failures"], reason="invalid-token") == 1
    assert value(told["mesh_api_auth_failures"], reason="forbidden") == 0
