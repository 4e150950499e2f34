"""The frames in docs/protocol.md are what the edge makes, and its table is the edge's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from daena_mesh.layout import STREAM_OF_LETTER
from daena_mesh.stored import Stored
from mesh_edge.client_messages import Budget, answer
from mesh_edge.closing import close_code_table
from mesh_edge.control import control_frame
from mesh_edge.envelope import event_text
from mesh_edge.frames import text_frame
from tests.support.markdown import blocks
from tests.support.tracked import ROOT

DOCUMENT = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
WRITTEN = [line for block in blocks(DOCUMENT) if block.language == "json" for line in block.code.splitlines()]
FRAMES = [line for line in WRITTEN if not line.startswith('{"type"')]
EVENTS = [line for line in FRAMES if line.startswith('{"topic"')]
CONTROL = [line for line in FRAMES if not line.startswith('{"topic"')]


def text_of(frame: bytes) -> str:
    """Give the text of one frame of the edge's, of at least 126 bytes and less than 64 KiB, or of less."""
    return frame[4 if frame[1] == 126 else 2 :].decode()


def position(cursor: str) -> tuple[str, int]:
    epoch, _, seq = cursor.rpartition("-")
    return f"{epoch}-", int(seq)


def stored_as(frame: dict[str, Any]) -> Stored:
    """Give the message whose frame this is: what a publisher wrote, and what the server added."""
    cursor = frame.get("cursor", "Snx8bbn-0")
    bare = frame["id"] == cursor
    envelope = {key: frame[key] for key in ("event_type", "payload", "id", "timestamp", "source") if key in frame}
    return Stored(
        STREAM_OF_LETTER[cursor[0]],
        frame["subject"].encode(),
        position(cursor)[1],
        0,
        frame["timestamp"].encode(),
        b"NATS/1.0",
        msgspec.json.encode(frame["payload"] if bare else envelope),
    )


def test_the_document_shows_every_kind_of_frame() -> None:
    types = {msgspec.json.decode(line)["event_type"] for line in FRAMES}
    assert types >= {"connection", "gap", "reconnect", "error", "pong", "ack", "system.notice", "chat.message"}


@pytest.mark.parametrize("line", EVENTS)
def test_an_event_is_framed_as_shown(line: str) -> None:
    frame = msgspec.json.decode(line)
    epoch = position(frame.get("cursor", "Snx8bbn-0"))[0]
    prev = position(frame["prev"])[1] if "prev" in frame else None
    made = text_frame(event_text(frame["topic"].encode(), stored_as(frame), epoch.encode(), prev, 65_536))
    assert text_of(made) == line


@pytest.mark.parametrize("line", CONTROL)
def test_a_frame_of_the_edges_own_is_written_as_shown(line: str) -> None:
    frame = msgspec.json.decode(line)
    event_type = frame.pop("event_type")
    assert text_of(control_frame(event_type, **frame)) == line


def test_answers_to_a_clients_messages_are_those_shown() -> None:
    shown = {frame["event_type"]: frame for frame in map(msgspec.json.decode, reversed(CONTROL))}
    pong, _ = answer('{"type":"ping","timestamp":1795401600123}', Budget())
    assert msgspec.json.decode(text_of(pong)) == shown["pong"]
    error, _ = answer('{"type":"sing"}', Budget())
    assert msgspec.json.decode(text_of(error))["payload"] == shown["error"]["payload"]


@pytest.mark.promise("P-CODES-1")
def test_the_table_of_close_codes_is_the_edges() -> None:
    assert close_code_table() in DOCUMENT
