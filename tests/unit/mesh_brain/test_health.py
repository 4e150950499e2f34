from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mesh_brain.health import MOST_MODELS, Health, after_trouble, is_news, well

SERVER = "http://models.test/v1"


def seen(*models: str, wanted: str = "", lists_models: bool = True) -> Health:
    return well(models, wanted, server=SERVER, latency_ms=1.26, lists_models=lists_models)


@pytest.mark.parametrize(
    ("health", "state", "model", "reason"),
    [
        (seen("a", "b"), "online", "a", ""),
        (seen("a", "b", wanted="b"), "online", "b", ""),
        (seen("a:latest", wanted="a"), "online", "a", ""),
        (seen("a", wanted="c"), "degraded", "c", f"the server at {SERVER} has no model 'c'"),
        (seen(), "degraded", "", f"the server at {SERVER} has no models"),
        (seen(wanted="c"), "degraded", "c", f"the server at {SERVER} has no models"),
        (seen(wanted="c", lists_models=False), "online", "c", ""),
    ],
)
def test_a_server_that_answers(health: Health, state: str, model: str, reason: str) -> None:
    assert (health.state, health.model, health.reason) == (state, model, reason)


@pytest.mark.parametrize(
    ("kind", "state"),
    [("away", "offline"), ("cut", "offline"), ("silent", "offline"), ("refused", "degraded"), ("garbage", "degraded")],
)
def test_a_server_that_does_not(kind: str, state: str) -> None:
    health = after_trouble(kind, "Why.", "m", server=SERVER)
    assert (health.state, health.model, health.reason) == (state, "m", "Why.")


def test_it_is_told_without_what_is_not_known() -> None:
    assert seen("a").to_dict() == {
        "state": "online",
        "model": "a",
        "models": ["a"],
        "server": SERVER,
        "latency_ms": 1.3,
    }
    assert len(seen(*map(str, range(999))).to_dict()["models"]) == MOST_MODELS


def test_figures_are_no_news_and_all_else_is() -> None:
    before = seen("a")
    assert is_news(None, before)
    figures = msgspec.structs.replace(before, latency_ms=9.0, first_token_ms=1.0, answering=2)
    assert not is_news(before, figures)
    changes: dict[str, Any] = {"state": "offline", "model": "b", "models": ("a", "b"), "server": "x", "reason": "x"}
    for name, value in changes.items():
        assert is_news(before, msgspec.structs.replace(before, **{name: value}))
