"""Watching a server of models: looks at it every few seconds, and tells how it is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Protocol

import msgspec

from daena_mesh.brain import Brain
from daena_mesh.errors import MeshError
from daena_mesh.mesh import Mesh
from mesh_brain.health import Health, after_trouble, is_news, well
from mesh_brain.server import ModelServer
from mesh_brain.settings import BrainSettings
from mesh_brain.trouble import Trouble

STOPPED = "the brain was stopped"
_log = logging.getLogger(__name__)


class Answers(Protocol):
    """What is known of the answers."""

    answering: int
    first_token_ms: float | None


class Watch:
    """Knows how the server is, and says it on ``brain.<id>.status``: what is new at once, the rest now and then."""

    def __init__(self, mesh: Mesh, server: ModelServer, settings: BrainSettings, answers: Answers) -> None:
        self.health: Health | None = None
        """None until the first look."""
        self._mesh = mesh
        self._server = server
        self._settings = settings
        self._answers = answers
        # When to tell the same again is decided here: each look has figures of its own.
        self._brain = Brain(mesh, settings.brain_id, every_s=0.0)
        self._model = settings.brain_model
        self._trouble: Trouble | None = None
        self._told: Health | None = None
        self._again_at = 0.0
        self._soon = asyncio.Event()
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """Look and tell until it is cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - whatever happens, the watch goes on
                _log.exception("brain %s could not be looked at", self._brain.brain_id)
            self._soon.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.brain_watch_s):
                    await self._soon.wait()

    def look_soon(self) -> None:
        """Do not wait for the next look: something was found to be otherwise."""
        self._soon.set()

    async def model(self) -> str:
        """The model to ask, the last one known where the server is away; raises `Trouble` where there is none."""
        if not self._model:
            await self.look()
        if self._model:
            return self._model
        raise self._trouble or Trouble("no-model", f"The model's server at {self._server.place.shown} has no model.")

    async def look(self) -> None:
        """Look now, and tell what there is to tell."""
        async with self._looking:
            health = await self._seen()
            self._model = health.model
            self.health = msgspec.structs.replace(
                health, answering=self._answers.answering, first_token_ms=self._answers.first_token_ms
            )
            await self._tell(self.health)

    async def stopped(self) -> None:
        """Tell that nobody watches any more."""
        async with self._looking:
            health = self.health or Health(state="offline", server=self._server.place.shown)
            self.health = msgspec.structs.replace(health, state="offline", reason=STOPPED, latency_ms=None, answering=0)
            await self._tell(self.health)

    async def _seen(self) -> Health:
        wanted, server = self._settings.brain_model, self._server.place.shown
        for attempt in (1, 2):
            begun = time.monotonic()
            self._trouble = None
            try:
                models = await self._server.models()
            except Trouble as trouble:
                if trouble.kind == "cut" and attempt == 1:
                    continue  # a connection that was kept for the next look may have been closed just then
                if trouble.kind == "unknown" and wanted:
                    return well([], wanted, server=server, latency_ms=_ms_since(begun), lists_models=False)
                self._trouble = trouble
                return after_trouble(trouble.kind, trouble.sentence, self._model, server=server)
            return well(models, wanted, server=server, latency_ms=_ms_since(begun))
        raise AssertionError("unreachable")

    async def _tell(self, health: Health) -> None:
        news, now = is_news(self._told, health), time.monotonic()
        is_due = now >= self._again_at and self._mesh.connection.state == "connected"
        if not (news or is_due):
            return
        if news:
            _log.info("brain %s is %s %s", self._brain.brain_id, health.state, health.reason or health.model)
        try:
            await self._brain.report(health.to_dict())
        except MeshError as error:
            _log.warning("brain %s: its state is not told: %s", self._brain.brain_id, error)
            return
        self._told, self._again_at = health, now + self._settings.brain_report_s


def _ms_since(begun: float) -> float:
    return (time.monotonic() - begun) * 1_000
