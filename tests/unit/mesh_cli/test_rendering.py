from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.events import Event
from mesh_cli.rendering import LONGEST_SUMMARY, event_json, event_line, printable


def event(subject: str = "agent.scout.activity", **given: object) -> Event:
    fields: dict[str, object] = {
        "event_type": "agent.activity",
        "payload": {"activity": {"state": "searching"}},
        "id": "0198",
        "timestamp": "2026-01-02T03:04:05.678Z",
        "source": None,
        "subject": subject,
        "cursor": "Sp9a-88",
    }
    return Event(**{**fields, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 网, 🙂", "plain, ünïcode, 网, 🙂"),
        ("no\u00a0break, wide\u3000space", "no\u00a0break, wide\u3000space"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x07\x08\x7f\x00", "\\x07\\x08\\x7f\\x00"),
        ("\u202eevil", "\\u202eevil"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_nothing_of_a_text_reaches_the_terminal_as_a_command(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_what_is_printable_stays_on_its_line_and_can_be_written(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)
    assert printable(shown) == shown


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")), max_size=4))
def test_json_lines_are_safe_and_lose_nothing(payload: dict[str, str]) -> None:
    line = event_json(event(payload=payload))
    assert printable(line) == line
    assert json.loads(line)["payload"] == payload


def test_a_line_has_time_subject_payload_and_cursor() -> None:
    line = event_line(event()).plain
    assert line.split("  ")[1:] == ["agent.scout.activity", '{"activity":{"state":"searching"}}', "Sp9a-88"]
    assert line.count(":", 0, 8) == 2


def test_a_message_is_shown_as_said() -> None:
    payload = {"sender": "us\x1ber", "content": "[red]Hello\n!", "metadata": {}}
    line = event_line(event("chat.s1.message", event_type="chat.message", payload=payload)).plain
    assert "  us\\x1ber: [red]Hello\\n!  " in line


@pytest.mark.parametrize("payload", [{}, {"sender": 1, "content": "x"}, {"content": "x"}])
def test_a_message_without_its_fields_is_shown_as_json(payload: dict[str, object]) -> None:
    line = event_line(event("chat.s1.message", event_type="chat.message", payload=payload)).plain
    assert json.dumps(payload, separators=(",", ":")) in line


def test_a_long_payload_is_cut_and_says_so() -> None:
    line = event_line(event(payload={"activity": "\u202e" + "x" * 50_000})).plain
    assert len(line) < LONGEST_SUMMARY + 200
    assert line.isprintable()
    assert "(50,016 characters; --json shows all)" in line


def test_a_timestamp_that_is_none_is_shown_as_it_is() -> None:
    assert event_line(event(timestamp="\x1b[31mnow")).plain.startswith("\\x1b[31mnow  ")
