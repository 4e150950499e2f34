"""How a server of models is, as one look at it told. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

State = Literal["online", "degraded", "offline"]

_DOES_NOT_ANSWER = frozenset({"away", "cut", "silent"})
MOST_MODELS = 100
"""So many are named; a server that has more still has them."""


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of a server of models.

    ``online``: it can be asked. ``degraded``: it answers, but not with what is wanted. ``offline``: it does not answer.
    """

    state: State
    model: str = ""
    """The one that is asked."""
    models: tuple[str, ...] = ()
    server: str = ""
    """Its URL, without a password."""
    reason: str = ""
    """One sentence; empty where all is well."""
    latency_ms: float | None = None
    """How long it took to name its models."""
    first_token_ms: float | None = None
    """How long the last answer took to begin."""
    answering: int = 0
    """How many questions are at work."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that is told."""
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return found


def is_news(before: Health | None, now: Health) -> bool:
    """Whether a state is to be told at once: its figures alone are no news."""
    if before is None:
        return True
    return _without_figures(before) != _without_figures(now)


def well(models: Sequence[str], wanted: str, *, server: str, latency_ms: float, lists_models: bool = True) -> Health:
    """The state of a server that named its ``models``, of which ``wanted`` is asked: the first, where that is empty.

    Where it lists none (not every server does), the one that is wanted is believed to be there.
    """
    reason = ""
    if lists_models and not models:
        reason = f"the server at {server} has no models"
    elif lists_models and wanted and not _has(models, wanted):
        reason = f"the server at {server} has no model {wanted!r}"
    return Health(
        state="degraded" if reason else "online",
        model=wanted or (models[0] if models else ""),
        models=tuple(models[:MOST_MODELS]),
        server=server,
        reason=reason,
        latency_ms=round(latency_ms, 1),
    )


def after_trouble(kind: str, sentence: str, model: str, *, server: str) -> Health:
    """The state of a server that did not name its models, because of a trouble of this ``kind``."""
    state: State = "offline" if kind in _DOES_NOT_ANSWER else "degraded"
    return Health(state=state, model=model, server=server, reason=sentence)


def _has(models: Sequence[str], wanted: str) -> bool:
    """Whether a model is there; Ollama names ``llama3.2`` by ``llama3.2:latest``."""
    return wanted in models or f"{wanted}:latest" in models


def _without_figures(health: Health) -> Health:
    return msgspec.structs.replace(health, latency_ms=None, first_token_ms=None, answering=0)
