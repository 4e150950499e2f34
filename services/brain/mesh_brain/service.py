"""The brain as a service: an agent that answers, a watch over its server of models, and what operators see."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from types import TracebackType
from typing import Self

from daena_mesh.agent import Agent
from daena_mesh.errors import MeshUnavailable
from daena_mesh.mesh import Mesh
from daena_mesh.micro import Endpoint, Service
from mesh_brain.answer import Answerer
from mesh_brain.server import ModelServer
from mesh_brain.settings import BrainSettings, Place

TARGET = "daena"
"""Whose questions it answers."""

_SAYS_SO_AFTER_S = 3.0
_LOOKS_AGAIN_S = 3_600.0
_log = logging.getLogger(__name__)


class BrainService:
    """A brain, for ``async with``: it answers and watches until the block ends."""

    def __init__(self, place: Place, settings: BrainSettings) -> None:
        """Raises `ConfigurationError` and `InvalidId`."""
        self.settings = settings
        self.mesh = Mesh(settings, name=f"mesh-brain/{settings.brain_id}", source="mesh-brain")
        self.server = ModelServer(place, settings)
        self.answerer = Answerer(self.mesh, self.server, settings)
        self.agent = Agent(
            self.mesh,
            settings.agent,
            description="Answers questions with a language model",
            concurrency=settings.brain_concurrency,
        )
        self._service = Service(
            self.mesh.connection,
            "mesh-brain",
            instance=self.agent.instance,
            endpoints=[
                Endpoint(
                    "completions",
                    f"ask.{TARGET}.vp.*",
                    figures=self.answerer.figures,
                    data=self._data,
                    metadata={"server": place.shown},
                )
            ],
            description="Watches a server of language models, and answers with it",
            metadata=lambda: {"brain": settings.brain_id, "pid": str(os.getpid()), "host": socket.gethostname()},
        )
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.server.close)
            stack.push_async_callback(self.mesh.close)
            self.mesh.start()
            await self._connected()
            self._service.start()
            stack.callback(self._service.stop)
            await self.answerer.watch.look()
            watching = asyncio.create_task(self.answerer.watch.run(), name="watch the server of models")
            stack.push_async_callback(self._end_watch, watching)
            await stack.enter_async_context(self.agent)
            self.agent.on_ask(TARGET, sender=self.settings.brain_sender)(self.answerer.answer)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _connected(self) -> None:
        """Wait for NATS, however long: services are started side by side, in any order."""
        try:
            await self.mesh.connection.wait_ready(_SAYS_SO_AFTER_S)
        except MeshUnavailable as error:
            _log.warning("%s; the brain waits for it", error)
            while True:
                with contextlib.suppress(MeshUnavailable):
                    return await self.mesh.connection.wait_ready(_LOOKS_AGAIN_S)

    async def _end_watch(self, watching: asyncio.Task[None]) -> None:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await self.answerer.watch.stopped()

    def _data(self) -> dict[str, object]:
        """What `nats micro stats` shows beside the figures."""
        health = self.answerer.watch.health
        return {"answering": self.answerer.answering, **(health.to_dict() if health is not None else {})}
