"""`/asyncapi.json`: what is published and what is seen, as AsyncAPI 3.0.0, from the same types as the code.

The mesh is the application that is described: it *receives* what is published to NATS subjects and what clients write
to a socket, and *sends* what sockets show.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

import daena_mesh
from daena_mesh.events import PAYLOADS, Payload

_SCHEMA = "#/components/schemas/{name}"
_PING = "client.ping"
_SEND = "client.send"
_AUTH = "client.auth"
_CLIENTS = {"ping": _PING, "say": _SEND, "authenticate": _AUTH}
_CLIENT_ID = {"type": "string", "minLength": 1, "maxLength": 128}
_CURSOR = {"type": "string", "description": "A position in the log, opaque; to give back as `since`."}
_TIME = {"type": "string", "format": "date-time"}


class Socket(NamedTuple):
    """A WebSocket route, and the domains whose events it shows."""

    name: str
    address: str
    about: str
    domains: tuple[str, ...]


SOCKETS = (
    Socket("events", "/ws/events", "Everything that the caller may read.", ()),
    Socket("chat", "/ws/chat/{session_id}", "One session: what is said, and what becomes of it.", ("chat", "session")),
    Socket("council", "/ws/council", "The councils.", ("council",)),
    Socket("agent", "/ws/agent/{agent_id}", "One agent, and its tasks.", ("agent", "task")),
)

_CONTROL: dict[str, tuple[str, dict[str, Any]]] = {
    "connection": (
        "Comes first, and when the edge loses NATS or has it back.",
        {
            "status": {"enum": ["connected", "degraded"]},
            "connection_id": {"type": "string", "description": "The topic that the socket follows."},
            "socket_id": {"type": "string"},
            "edge": {"type": "string"},
            "recovered": {"type": "boolean", "description": "True only where the head of the log was reached."},
            "missing": {
                "type": "array",
                "items": {"enum": ["R", "S"]},
                "description": "While it is degraded: the streams, by letter, of which events may be missing.",
            },
            "cursors": {"type": "object", "additionalProperties": _CURSOR},
        },
    ),
    "gap": (
        "What lay between two positions cannot be shown any more.",
        {"from": _CURSOR, "to": _CURSOR, "reason": {"enum": ["reset", "expired"]}},
    ),
    "reconnect": ("The edge is stopping: come back, to any edge.", {"after_ms": {"type": "integer", "minimum": 0}}),
    "error": (
        "What the client wrote was not understood, what it sent was not stored, or a topic ends; the socket lives.",
        {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "id": {**_CLIENT_ID, "description": "The id of what was sent."},
            "topic": {"type": "string", "description": "Which topic of a socket of many has ended with it."},
            "retry_after_ms": {"type": "integer", "minimum": 0, "description": "When it may be sent again."},
        },
    ),
    "ack": (
        "What the client sent is stored.",
        {
            "id": {**_CLIENT_ID, "description": "The id of what was sent."},
            "cursor": _CURSOR,
            "duplicate": {"type": "boolean", "description": "It had been stored before, under the same id."},
        },
    ),
    "auth": (
        "A fresh token of the client has taken the place of the one before.",
        {
            "status": {"const": "renewed"},
            "user": {"type": "string"},
            "expires_at": {"type": "number", "description": "In seconds since 1970."},
        },
    ),
    "pong": ("Answers a ping, with its timestamp.", {}),
}


def document(host: str) -> dict[str, Any]:
    """The document; ``host`` is where the sockets are, such as ``127.0.0.1:8000``."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Daena Mesh",
            "version": daena_mesh.__version__,
            "description": "Events of AI agents: published to NATS subjects, stored, and shown by WebSockets.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "edge": {"host": host, "protocol": "ws", "description": "An edge; all edges show the same."},
            "nats": {"host": "127.0.0.1:4222", "protocol": "nats", "description": "NATS, as `mesh up` starts it."},
        },
        "channels": {**_subjects(), **{f"ws.{socket.name}": _channel(socket) for socket in SOCKETS}},
        "operations": {**_publishing(), **_following()},
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def subject_of(payload: type[Payload]) -> str:
    """Where events of this type are published, with a parameter for the id."""
    domain, _, verb = payload.event_type.partition(".")
    return f"{domain}.{{{payload.id_field}}}.{verb}"


def _subjects() -> dict[str, Any]:
    return {
        f"nats.{event_type}": {
            "address": subject_of(payload),
            "description": (payload.__doc__ or "").strip(),
            "servers": [{"$ref": "#/servers/nats"}],
            "parameters": {payload.id_field: {"description": "1 to 64 characters of A-Z a-z 0-9 _ -"}},
            "messages": _refs([event_type]),
        }
        for event_type, payload in PAYLOADS.items()
    }


def _channel(socket: Socket) -> dict[str, Any]:
    query = {
        "type": "object",
        "properties": {
            "since": {"type": "string", "description": "Cursors to go on from, joined by dots."},
            "history": {"type": "integer", "minimum": 0, "description": "The newest events first, this many."},
            "types": {"type": "string", "description": "Event types, separated by commas: these alone."},
        },
    }
    names = [part[1:-1] for part in socket.address.split("/") if part.startswith("{")]
    return {
        "address": socket.address,
        "description": socket.about,
        "servers": [{"$ref": "#/servers/edge"}],
        **({"parameters": {name: {"description": "An id."} for name in names}} if names else {}),
        "messages": _refs([*_shown(socket), *_CLIENTS.values()]),
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
    }


def _shown(socket: Socket) -> list[str]:
    types = [t for t in PAYLOADS if not socket.domains or t.partition(".")[0] in socket.domains]
    return [*(f"frame.{event_type}" for event_type in types), "system.notice", *_CONTROL]


def _publishing() -> dict[str, Any]:
    return {
        f"publish.{event_type}": {
            "action": "receive",
            "channel": {"$ref": f"#/channels/nats.{event_type}"},
            "messages": [{"$ref": f"#/channels/nats.{event_type}/messages/{event_type}"}],
        }
        for event_type in PAYLOADS
    }


def _following() -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for socket in SOCKETS:
        channel = f"#/channels/ws.{socket.name}"
        said = (("receive", verb, [name]) for verb, name in _CLIENTS.items())
        for action, verb, names in (("send", "follow", _shown(socket)), *said):
            operations[f"{verb}.{socket.name}"] = {
                "action": action,
                "channel": {"$ref": channel},
                "messages": [{"$ref": f"{channel}/messages/{name}"} for name in names],
            }
    return operations


def _refs(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _messages() -> dict[str, Any]:
    messages: dict[str, Any] = {}
    for event_type, payload in PAYLOADS.items():
        about = (payload.__doc__ or "").strip()
        body = {"$ref": _SCHEMA.format(name=f"event.{event_type}")}
        framed = {"allOf": [{"$ref": _SCHEMA.format(name="position")}, body]}
        messages[event_type] = {"name": event_type, "summary": about, "payload": body}
        messages[f"frame.{event_type}"] = {"name": event_type, "summary": about, "payload": framed}
    notice = _event("system.notice", {"type": "object"})
    messages["system.notice"] = {"name": "system.notice", "summary": "A broadcast; has no cursor.", "payload": notice}
    for event_type, (about, members) in _CONTROL.items():
        payload_schema = {"type": "object", "properties": members}
        messages[event_type] = {"name": event_type, "summary": about, "payload": _event(event_type, payload_schema)}
    messages["pong"]["payload"] = {
        "type": "object",
        "required": ["event_type"],
        "properties": {"event_type": {"const": "pong"}, "timestamp": {"description": "As the ping had it."}},
    }
    messages[_PING] = {
        "name": "ping",
        "summary": "Answered by a pong.",
        "payload": {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"const": "ping"}, "timestamp": {"description": "Any value; it comes back."}},
        },
    }
    messages[_AUTH] = {
        "name": "auth",
        "summary": "Shows a token: the first one of a socket that brought none, or a fresh one.",
        "payload": {
            "type": "object",
            "required": ["type", "token"],
            "properties": {"type": {"const": "auth"}, "token": {"type": "string"}},
        },
    }
    messages[_SEND] = {
        "name": "send",
        "summary": "Answered by an ack once it is stored, or by an error.",
        "payload": {
            "type": "object",
            "required": ["type", "subject", "payload"],
            "properties": {
                "type": {"const": "send"},
                "id": {**_CLIENT_ID, "description": "Sent again under the same id it is stored once."},
                "subject": {"type": "string", "description": "Such as `chat.s1.message`."},
                "payload": {"type": "object"},
            },
        },
    }
    return messages


def _schemas() -> dict[str, Any]:
    _, made = msgspec.json.schema_components(PAYLOADS.values(), ref_template=_SCHEMA)
    for schema in made.values():
        schema.get("properties", {}).pop("extra", None)  # keys that a type does not name stand beside the others
    for event_type, payload in PAYLOADS.items():
        made[f"event.{event_type}"] = _event(event_type, {"$ref": _SCHEMA.format(name=payload.__name__)})
    made["position"] = {
        "type": "object",
        "required": ["topic", "cursor", "subject"],
        "properties": {
            "topic": {"type": "string"},
            "cursor": _CURSOR,
            "prev": {**_CURSOR, "description": "On live frames: the cursor of the frame before, of the same stream."},
            "subject": {"type": "string"},
        },
    }
    return dict(sorted(made.items()))


def _event(event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["event_type", "payload"],
        "properties": {
            "event_type": {"const": event_type},
            "payload": payload,
            "id": {"type": "string"},
            "timestamp": _TIME,
            "source": {"type": "string"},
        },
    }
