"""Poison is counted once, and told of at most once a minute for each subject."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daena_mesh import Mesh
from daena_mesh.errors import MeshUnavailable
from daena_mesh.stored import Stored
from mesh_edge.poison import PoisonCabinet


class Told:
    """A mesh that notes what is published, and may be away."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, dict[str, Any], str]] = []
        self.is_away = False
        self.log = SimpleNamespace(cursor=lambda stream, seq: f"{stream[0]}k3f-{seq}")

    async def publish(self, subject: str, payload: dict[str, Any], *, event_id: str) -> None:
        if self.is_away:
            raise MeshUnavailable("away")
        self.notices.append((subject, payload, event_id))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [5.0]
    monkeypatch.setattr("mesh_edge.poison.time.monotonic", lambda: at[0])
    return at


@pytest.fixture
def mesh() -> Told:
    return Told()


@pytest.fixture
def cabinet(mesh: Told) -> PoisonCabinet:
    return PoisonCabinet(cast("Mesh", mesh), "edge-1")


def stored(seq: int, subject: bytes = b"agent.a1.activity") -> Stored:
    return Stored("SIGNALS", subject, seq, 0, b"", b"", b"junk")


async def settle(cabinet: PoisonCabinet) -> None:
    await asyncio.gather(*cabinet._telling)


async def test_each_is_counted_once_whatever_number_of_topics_met_it(cabinet: PoisonCabinet, at: list[float]) -> None:
    for seq in (1, 2, 1, 2, 3):
        cabinet.note(stored(seq), "not JSON")
    assert cabinet.count == 3
    await settle(cabinet)


async def test_a_subject_is_told_of_once_a_minute(
    cabinet: PoisonCabinet, mesh: Told, at: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for seq, moment in enumerate((0.0, 1, 59.9, 60.1, 119, 121), 1):
        at[0] = moment
        cabinet.note(stored(seq), "not JSON")
    cabinet.note(stored(9, b"agent.a2.activity"), "not JSON")
    await settle(cabinet)
    assert [payload["cursor"] for _, payload, _ in mesh.notices] == ["Sk3f-1", "Sk3f-4", "Sk3f-6", "Sk3f-9"]
    assert {subject for subject, _, _ in mesh.notices} == {"system.edge.notice"}
    assert mesh.notices[0][1]["subject"] == "agent.a1.activity"
    assert "not JSON" in mesh.notices[0][1]["text"]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 4
    assert cabinet.count == 7


async def test_a_subject_for_each_is_told_of_once_a_second(
    cabinet: PoisonCabinet, mesh: Told, at: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for seq in range(1_000):
        at[0] = seq / 100
        cabinet.note(stored(seq, b"agent.a%d.activity" % seq), "not JSON")
    await settle(cabinet)
    assert cabinet.count == 1_000
    assert 10 <= len(caplog.records) <= 12
    assert len(mesh.notices) == len(caplog.records)


async def test_two_edges_tell_of_the_same_message_under_the_same_id(mesh: Told, at: list[float]) -> None:
    for edge in ("edge-1", "edge-2"):
        cabinet = PoisonCabinet(cast("Mesh", mesh), edge)
        cabinet.note(stored(1), "not JSON")
        await settle(cabinet)
    assert mesh.notices[0][2] == mesh.notices[1][2]


async def test_a_hostile_subject_or_reason_is_told_of_in_plain_characters(
    cabinet: PoisonCabinet, mesh: Told, at: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    cabinet.note(stored(1, b"agent.\x1b[31m\xff\xd1\x81.\n" + b"x" * 5_000), "\x1b[2J\n" + "y" * 5_000)
    await settle(cabinet)
    line = caplog.records[0].getMessage()
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 1_000
    assert mesh.notices[0][1]["subject"].isprintable()


async def test_memory_is_bounded_and_without_nats_nothing_is_raised(
    cabinet: PoisonCabinet, mesh: Told, at: list[float]
) -> None:
    mesh.is_away = True
    for seq in range(3_000):
        cabinet.note(stored(seq, b"agent.a%d.activity" % seq), "not JSON")
    await settle(cabinet)
    assert cabinet.count == 3_000
    assert len(cabinet._told) <= 1_024
    assert len(cabinet._noted) <= 1_024
