"""What every request of one application shares."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import Request

from daena_mesh.asks import Asks
from daena_mesh.histogram import Histogram
from daena_mesh.ids import uuid7
from daena_mesh.loop_lag import watch_loop
from daena_mesh.mesh import Mesh
from daena_mesh.revocations import Revocations
from daena_mesh.rosters import Rosters
from daena_mesh.sessions import SessionStore
from daena_mesh.sweeping import Sweeper
from mesh_api.callers import Callers
from mesh_api.consumers import Consumers
from mesh_api.fill import Fill
from mesh_api.forgotten import Forgotten
from mesh_api.log_desk import LogDesk
from mesh_api.log_pages import LogPages
from mesh_api.metrics import Requests
from mesh_api.projector import Projector
from mesh_api.queue import Queue
from mesh_api.service import api_service
from mesh_api.serving import Serving
from mesh_api.settings import ApiSettings
from mesh_api.silence import Silence
from mesh_api.state_keeper import StateKeeper
from mesh_api.step_down import StepDown
from mesh_api.stream_tender import StreamTender
from mesh_api.survey import Surveys
from mesh_api.ui_streams import UiStreams
from mesh_api.unanswered import Unanswered
from mesh_api.unfinished import Unfinished
from mesh_api.upkeep import Upkeep
from mesh_api.writing import Writer


class Context:
    """The mesh, and what the API makes of it."""

    def __init__(self, settings: ApiSettings, requests: Requests) -> None:
        """Raises `ConfigurationError`."""
        self.settings = settings
        self.callers = Callers(settings)
        self.requests = requests
        name = f"mesh-api/{uuid7()[-8:]}"
        self.mesh = Mesh(settings, name=name, wait_s=settings.api_wait_s, source="api", provisions=True)
        self.sessions = SessionStore(self.mesh)
        self.writer = Writer(self.mesh, deadline_s=settings.api_deadline_s)
        self.asks = Asks(self.mesh, deadline_s=settings.api_deadline_s, patience_s=settings.api_wait_s)
        self.upkeep = Upkeep(self.mesh, self.sessions)
        self.projector = Projector(self.mesh, self.upkeep, by_user=self.callers.asks_for_tokens)
        self.unfinished = Unfinished(self.mesh)
        self.tender = StreamTender(self.mesh, self.unfinished, ask_timeout_s=settings.ask_timeout_s)
        self.ui_streams = UiStreams(self.mesh, self.unfinished, ask_timeout_s=settings.ask_timeout_s)
        self.state = StateKeeper(self.mesh)
        self.consumers = Consumers(self.mesh)
        self.serving = Serving(self.mesh, self.consumers.want)
        self.silence = Silence(self.mesh, self.state, self.serving)
        self.unanswered = Unanswered(self.mesh, self.serving, timeout_s=settings.ask_timeout_s)
        self.forgotten = Forgotten(self.mesh, self.serving)
        self.queue = Queue(self.mesh)
        self.fill = Fill(self.mesh)
        self.loop_lag = Histogram()
        self.rosters = Rosters(self.mesh)
        self.revocations = Revocations(self.mesh, self.callers.revoked)
        self.log_desk = LogDesk(self.mesh)
        self.step_down = StepDown(self.mesh)
        self.log_pages = LogPages(self.mesh.log)
        self.surveys = Surveys(self.mesh)
        self.sweeper = Sweeper(self.rosters, self.mesh.connection)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connect and follow, in the background: NATS may be away."""
        service = api_service(self.mesh.connection, self.requests.figures)
        service.start()
        self.mesh.start()
        self.serving.start()
        self.log_desk.start()
        self.step_down.start()
        tasks = [
            asyncio.create_task(self.projector.run(), name="projection of sessions"),
            asyncio.create_task(self.state.run(), name="state of agents"),
            asyncio.create_task(self.silence.run(), name="silence of agents"),
            asyncio.create_task(self.upkeep.run(), name="upkeep of sessions"),
            asyncio.create_task(self.tender.run(), name="tender of streams of text"),
            asyncio.create_task(self.sweeper.run(), name="sweeper of presence"),
            asyncio.create_task(self.consumers.run(), name="consumers of asks"),
            asyncio.create_task(self.unanswered.run(), name="sweeper of asks"),
            asyncio.create_task(self.forgotten.run(), name="finder of forgotten asks"),
            asyncio.create_task(self.queue.run(), name="queue of asks"),
            asyncio.create_task(self.fill.run(), name="fill of streams"),
            asyncio.create_task(watch_loop(self.loop_lag), name="loop lag"),
        ]
        if self.callers.asks_for_tokens:
            look_again = self.callers.look_again
            tasks.append(asyncio.create_task(self.revocations.run(look_again), name="revocations"))
            if (source := self.callers.source) is not None:
                tasks.append(asyncio.create_task(source.run(look_again), name="public keys of tokens"))
        try:
            yield
        finally:
            service.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.step_down.close()
            await self.mesh.close()


def context_of(request: Request) -> Context:
    """The context of the application that ``request`` came to."""
    context: Context = request.app.state.api
    return context
