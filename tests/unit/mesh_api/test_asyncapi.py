"""The AsyncAPI document, checked by the rules of AsyncAPI 3.0.0 that its parser checks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from daena_mesh.events import PAYLOADS
from daena_mesh.subjects import subject_for
from mesh_api.asyncapi import SOCKETS, document, subject_of

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document("127.0.0.1:8000")))


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for child in value.values():
            yield from refs(child)
    elif isinstance(value, list):
        for child in value:
            yield from refs(child)


def resolve(ref: str) -> Any:
    found: Any = DOCUMENT
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_every_reference_leads_somewhere() -> None:
    found = set(refs(DOCUMENT))
    assert len(found) > 50
    for ref in found:
        assert ref.startswith("#/")
        assert resolve(ref), ref


def test_only_keys_of_the_specification() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    allowed = {"asyncapi", "info", "defaultContentType", "servers", "channels", "operations", "components"}
    assert set(DOCUMENT) == allowed
    for group in ("servers", "channels", "operations"):
        assert all(re.fullmatch(r"[\w.-]+", name) for name in DOCUMENT[group])
    for channel in DOCUMENT["channels"].values():
        assert set(channel) <= {"address", "description", "servers", "parameters", "messages", "bindings"}
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(channel.get("parameters", {}))


def test_operations_use_messages_of_their_own_channel() -> None:
    for name, operation in DOCUMENT["operations"].items():
        assert operation["action"] in {"send", "receive"}
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"]), name


def test_every_known_event_is_published_and_seen() -> None:
    for event_type, payload in PAYLOADS.items():
        assert DOCUMENT["channels"][f"nats.{event_type}"]["address"] == subject_of(payload)
        assert subject_of(payload).replace(f"{{{payload.id_field}}}", "x") == subject_for(event_type, "x")
        assert f"frame.{event_type}" in DOCUMENT["channels"]["ws.events"]["messages"]


def test_payloads_are_open() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for payload in PAYLOADS.values():
        schema = schemas[payload.__name__]
        assert "extra" not in schema["properties"]
        assert schema.get("additionalProperties", True) is True


def test_the_routes_are_those_of_the_edge() -> None:
    assert [socket.address for socket in SOCKETS] == [
        *("/ws/events", "/ws/chat/{session_id}", "/ws/council", "/ws/agent/{agent_id}")
    ]
