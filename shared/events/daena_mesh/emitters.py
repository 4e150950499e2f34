"""The plain emitters, bound to a default mesh, which the first call connects: one for each event loop.

>>> await emit_chat_message("test_session", "user", "Hello!")
"""

from __future__ import annotations

import asyncio
from typing import Any

from daena_mesh.log import Ack
from daena_mesh.mesh import Mesh
from daena_mesh.sessions import SessionStore
from daena_mesh.subjects import subject_for

_PATIENCE_S = 5.0
_defaults: dict[asyncio.AbstractEventLoop, Mesh] = {}


def default_mesh() -> Mesh:
    """The default mesh of the running event loop; it connects in the background. Raises `ConfigurationError`."""
    loop = asyncio.get_running_loop()
    mesh = _defaults.get(loop)
    if mesh is None or mesh.connection.is_closed:
        for ended in [other for other in _defaults if other.is_closed()]:
            _defaults.pop(ended, None)
        mesh = _defaults[loop] = Mesh.connect(name="mesh-emitter")
        mesh.start()
    return mesh


async def close_default_mesh() -> None:
    """Send what waits and close the default mesh; the next call of an emitter connects anew."""
    if mesh := _defaults.pop(asyncio.get_running_loop(), None):
        await mesh.close()


async def _sessions() -> SessionStore:
    mesh = default_mesh()
    await mesh.connection.wait_ready(_PATIENCE_S)  # a session is read before it is written
    return SessionStore(mesh)


async def _emit(event_type: str, ident: str, payload: dict[str, Any]) -> Ack:
    return await default_mesh().publish(subject_for(event_type, ident), payload)


async def emit_chat_message(session_id: str, sender: str, content: str, metadata: dict[str, Any] | None = None) -> Ack:
    """A new message in a session, as ``chat.message``.

    Returns once it is stored. Raises `InvalidId`, `InvalidEvent`, and `MeshUnavailable` after 5 s without NATS.
    """
    return await default_mesh().chat(session_id).send(content, sender=sender, metadata=metadata)


async def emit_session_created(session_id: str, title: str, category: str | None = None) -> Ack:
    """A session begins, as ``session.created``. If it exists already, its own event is acknowledged as a duplicate.

    Raises `InvalidId`, `DeletedSession` and `MeshUnavailable`.
    """
    return await (await _sessions()).create(session_id, title=title, category=category)


async def emit_session_updated(session_id: str, updates: dict[str, Any]) -> Ack:
    """Fields of a session change, as ``session.updated``: reads, merges, and tries again if another writer was first.

    Raises `InvalidId`, `UnknownSession`, `DeletedSession`, `InvalidEvent` and `MeshUnavailable`.
    """
    return await (await _sessions()).update(session_id, updates)


async def emit_agent_activity(agent_id: str, activity: Any) -> Ack:
    """What an agent does now, as ``agent.activity``: a text or a JSON object. Without NATS it is kept for later."""
    return await _emit("agent.activity", agent_id, {"agent_id": agent_id, "activity": activity})


async def emit_brain_status(status: Any, brain_id: str = "main") -> Ack:
    """The state of a brain, as ``brain.status``. Without NATS it is kept for later."""
    return await _emit("brain.status", brain_id, {"brain_id": brain_id, "status": status})


async def emit_task_update(task_id: str, status: str, progress: Any = None) -> Ack:
    """How far a task has come, as ``task.update``. Without NATS it is kept for later."""
    return await _emit("task.update", task_id, {"task_id": task_id, "status": status, "progress": progress})


async def emit_council_update(council_id: str, update: Any) -> Ack:
    """News of a council, as ``council.update``. Raises `MeshUnavailable` after 5 s without NATS."""
    return await _emit("council.update", council_id, {"council_id": council_id, "update": update})


__all__ = [
    "close_default_mesh",
    "default_mesh",
    "emit_agent_activity",
    "emit_brain_status",
    "emit_chat_message",
    "emit_council_update",
    "emit_session_created",
    "emit_session_updated",
    "emit_task_update",
]
