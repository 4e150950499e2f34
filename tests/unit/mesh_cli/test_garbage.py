"""The garbage collector is told once what stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from mesh_cli.garbage import YOUNG_OBJECTS, settle


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_what_is_there_is_not_looked_at_again_and_what_comes_is_looked_at_less_often() -> None:
    stays = [[number] for number in range(1_000)]
    settle()
    assert gc.get_freeze_count() >= len(stays)
    assert gc.get_threshold()[0] == YOUNG_OBJECTS
    assert gc.isenabled()


def test_cycles_are_still_collected() -> None:
    settle()
    loop: list[object] = []
    loop.append(loop)
    del loop
    assert gc.collect() >= 1
