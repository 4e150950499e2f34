"""Daena Mesh: the SDK.

>>> from daena_mesh import Mesh, emit_chat_message
"""

from __future__ import annotations

from daena_mesh.agent import Agent
from daena_mesh.asking import Answer
from daena_mesh.asks import Ask
from daena_mesh.brain import Brain
from daena_mesh.chat import Chat
from daena_mesh.cursors import Cursor, Positions
from daena_mesh.emitters import (
    close_default_mesh,
    default_mesh,
    emit_agent_activity,
    emit_brain_status,
    emit_chat_message,
    emit_council_update,
    emit_session_created,
    emit_session_updated,
    emit_task_update,
)
from daena_mesh.errors import (
    ConfigurationError,
    Conflict,
    DeletedSession,
    EdgeRefused,
    InvalidCursor,
    InvalidEvent,
    InvalidId,
    InvalidQuery,
    InvalidSubject,
    InvalidToken,
    MeshError,
    MeshUnavailable,
    NatsServerError,
    NotCovered,
    ProvisioningError,
    Unanswered,
    UnknownSession,
)
from daena_mesh.events import (
    AgentActivity,
    AgentStatus,
    BrainStatus,
    ChatDelta,
    ChatMessage,
    ChatStop,
    ChatTyping,
    CouncilUpdate,
    Event,
    Session,
    SessionCreated,
    SessionDeleted,
    SessionUpdated,
    TaskUpdate,
)
from daena_mesh.feed import Feed, Gap
from daena_mesh.log import Ack
from daena_mesh.mesh import Mesh
from daena_mesh.stream_writer import StreamWriter
from daena_mesh.subjects import Subject, safe_id, subject_for
from daena_mesh.task import Task
from daena_mesh.tracking import track

__version__ = "0.1.0"

__all__ = [
    "Ack",
    "Agent",
    "AgentActivity",
    "AgentStatus",
    "Answer",
    "Ask",
    "Brain",
    "BrainStatus",
    "Chat",
    "ChatDelta",
    "ChatMessage",
    "ChatStop",
    "ChatTyping",
    "ConfigurationError",
    "Conflict",
    "CouncilUpdate",
    "Cursor",
    "DeletedSession",
    "EdgeRefused",
    "Event",
    "Feed",
    "Gap",
    "InvalidCursor",
    "InvalidEvent",
    "InvalidId",
    "InvalidQuery",
    "InvalidSubject",
    "InvalidToken",
    "Mesh",
    "MeshError",
    "MeshUnavailable",
    "NatsServerError",
    "NotCovered",
    "Positions",
    "ProvisioningError",
    "Session",
    "SessionCreated",
    "SessionDeleted",
    "SessionUpdated",
    "StreamWriter",
    "Subject",
    "Task",
    "TaskUpdate",
    "Unanswered",
    "UnknownSession",
    "close_default_mesh",
    "default_mesh",
    "emit_agent_activity",
    "emit_brain_status",
    "emit_chat_message",
    "emit_council_update",
    "emit_session_created",
    "emit_session_updated",
    "emit_task_update",
    "safe_id",
    "subject_for",
    "track",
]
