"""Leaders that hold ids of messages which they never store step down (`daena_mesh.held`).

Anybody may say so of an id. So the leader is asked itself: by a message under the same id, with an expectation that
nothing fulfils, so that it is never stored. The leader says that the id is in process, or that it expects in vain.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re

import msgspec

from daena_mesh.connection import header_block
from daena_mesh.errors import InvalidSubject, MeshUnavailable, NotCovered
from daena_mesh.held import IN_PROCESS, REPORTS, Report
from daena_mesh.log import refusal_code
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import ASKS

_QUEUE = "mesh-api"
_IMPOSSIBLE = str(2**62)
"""A sequence that no stream comes to."""
_AGAIN_S = 1.0
"""After so long, give or take a half, it is asked again: where two APIs do, the second one finds another leader."""
_PAUSE_S = 3.0
"""For so long nothing more is heard of a stream: who was refused is stored meanwhile."""
_ATTEMPT_S = 2.0
_is_subject = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+").fullmatch
_is_msg_id = re.compile(r"[!-~]{1,256}").fullmatch
_decode = msgspec.json.Decoder(Report).decode
_log = logging.getLogger(__name__)


class StepDown:
    """Hears who is refused, each of them once among all APIs."""

    def __init__(self, mesh: Mesh) -> None:
        """Asks through ``mesh``."""
        self._mesh = mesh
        self._looking: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Hear them from now on."""
        self._mesh.connection.share(f"{REPORTS}*", _QUEUE, self._hear)

    async def close(self) -> None:
        """Leave off."""
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hear(self, subject: bytes, _reply: bytes, _headers: bytes, body: bytes) -> None:
        stream = subject.decode("ascii", "replace").removeprefix(REPORTS)
        try:
            report = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if stream not in self._looking and self._is_of(stream, report):
            task = asyncio.create_task(self._look(stream, report), name=f"leader of {stream}")
            self._looking[stream] = task
            task.add_done_callback(lambda _: self._looking.pop(stream, None))

    def _is_of(self, stream: str, report: Report) -> bool:
        if not _is_subject(report.subject) or not _is_msg_id(report.msg_id):
            return False
        if stream == ASKS:
            return report.subject.startswith("ask.")
        try:
            return self._mesh.layout.stream_of(report.subject) == stream
        except (InvalidSubject, NotCovered):
            return False

    async def _look(self, stream: str, report: Report) -> None:
        try:
            if not await self._is_held(report):
                return
            await asyncio.sleep(random.uniform(0.5, 1.5) * _AGAIN_S)
            if not await self._is_held(report):
                return
            _log.warning("the leader of stream %s neither stores nor takes a message, and is to step down", stream)
            subject = f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}"
            await self._mesh.connection.request(subject, b"", timeout_s=_ATTEMPT_S)
        except MeshUnavailable as error:
            _log.info("whether the leader of stream %s holds an id is not known: %s", stream, error)
        await asyncio.sleep(_PAUSE_S)

    async def _is_held(self, report: Report) -> bool:
        """Whether the leader takes its id for one that is being stored; raises `MeshUnavailable`."""
        headers = header_block({"Nats-Msg-Id": report.msg_id, "Nats-Expected-Last-Sequence": _IMPOSSIBLE})
        reply = await self._mesh.connection.request(report.subject, b"{}", timeout_s=_ATTEMPT_S, headers=headers)
        return refusal_code(reply) == IN_PROCESS
