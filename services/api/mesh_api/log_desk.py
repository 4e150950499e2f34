"""The desk where agents ask for the log of their sessions: NATS lets them read no stream."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec

from daena_mesh.errors import InvalidId, MeshError, MeshUnavailable
from daena_mesh.log_door import KEPT, SUBJECTS, LogRequest, is_in
from daena_mesh.mesh import Mesh
from daena_mesh.subjects import check_id, check_name

_MOST_AT_ONCE = 256
_QUEUE = "mesh-api"
_decode = msgspec.json.Decoder(LogRequest).decode


class LogDesk:
    """Answers on ``mesh.log.<session>.<name>``, each question once among all APIs."""

    def __init__(self, mesh: Mesh) -> None:
        """Asks through ``mesh``."""
        self._mesh = mesh
        self._working: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Answer from now on."""
        self._mesh.connection.share(SUBJECTS, _QUEUE, self._hear)

    def _hear(self, subject: bytes, reply: bytes, _headers: bytes, body: bytes) -> None:
        try:
            _, _, session, name = subject.decode("ascii", "replace").split(".")
            check_id(session)
            check_name(name)
            wanted = _decode(body)
        except (InvalidId, ValueError, RecursionError):
            return
        # Whoever asks names where the answer goes: nowhere but to themselves.
        if not reply.startswith(f"_INBOX_{name}.".encode()):
            return
        if not wanted.is_allowed(session, self._mesh.layout):
            self._answer(reply, {"error": {"code": 403, "description": f"{name} may not ask this"}})
        elif wanted.is_passed_on and wanted.request.keys() != {"seq"}:
            self._pass_on(wanted, reply)
        elif len(self._working) < _MOST_AT_ONCE:
            task = asyncio.create_task(self._look(wanted, session, reply), name="log of an agent")
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _look(self, wanted: LogRequest, session: str, reply: bytes) -> None:
        log, stream = self._mesh.log, wanted.stream
        try:
            if wanted.verb == KEPT:
                self._answer(reply, {"seq": await log.kept_from(stream)})
            elif wanted.is_passed_on:
                found = await log.get(stream, wanted.request["seq"])
                if found is not None and is_in(session, found.subject.decode("ascii", "replace")):
                    self._pass_on(wanted, reply)
                else:
                    self._answer(reply, {"error": {"code": 404, "err_code": 10037, "description": "no message found"}})
            else:
                at = datetime.fromisoformat(wanted.request["at"])
                self._answer(reply, {"seq": await log.first_since(stream, at)})
        except (MeshError, ValueError, OverflowError) as error:
            self._answer(reply, {"error": {"code": 503, "description": str(error)}})

    def _pass_on(self, wanted: LogRequest, reply: bytes) -> None:
        try:
            body = msgspec.json.encode(wanted.request)
            self._mesh.connection.publish(f"$JS.API.{wanted.verb}.{wanted.stream}", body, reply=reply)
        except MeshUnavailable:
            return  # who asked hears nothing, and asks again

    def _answer(self, reply: bytes, answer: dict[str, object]) -> None:
        try:
            self._mesh.connection.publish(reply.decode("ascii", "replace"), msgspec.json.encode(answer))
        except MeshUnavailable:
            return
