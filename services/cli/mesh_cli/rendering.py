"""Events as lines of a terminal. Texts come from strangers: none may reach the terminal as a command."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

import msgspec
from rich.text import Text

from daena_mesh.events import Event
from daena_mesh.feed import Gap

LONGEST_SUMMARY = 2_000
# Zero width joiners hold emoji and scripts together, and cannot move the cursor or turn the text around.
_HARMLESS = {"\u200c", "\u200d"}
_COLOURS = {
    "chat": "green",
    "session": "cyan",
    "council": "magenta",
    "agent": "yellow",
    "task": "blue",
    "brain": "bright_magenta",
    "presence": "bright_black",
    "system": "red",
}
_REST = "white"


def printable(text: str) -> str:
    r"""Return ``text`` with what a terminal could take for a command escaped, and what is invisible.

    Control characters (C0, DEL, C1), line and paragraph separators, marks that turn the direction of text, lone
    surrogates and unassigned characters become ``\x1b``, ``\u202e`` and the like.
    """
    if text.isprintable():
        return text
    return "".join(character if _is_harmless(character) else _escaped(character) for character in text)


def event_json(event: Event) -> str:
    """Return the event as one line of JSON; what :func:`printable` escapes is escaped the JSON way."""
    return json_line(event)


def json_line(value: object) -> str:
    """Return any value so."""
    line = msgspec.json.encode(value).decode()
    return line if line.isprintable() else re.sub(r"[^ -~]", _escaped_for_json, line)


def event_line(event: Event) -> Text:
    """Return the event as one coloured line: local time, subject, what it says, and its cursor."""
    domain = event.subject.partition(".")[0]
    return Text.assemble(
        (_time_of_day(event.timestamp), "dim"),
        "  ",
        (printable(event.subject), _COLOURS.get(domain, _REST)),
        "  ",
        _summary(event),
        "  ",
        (printable(event.cursor), "dim"),
    )


def gap_json(gap: Gap) -> str:
    """Return a gap as one line of JSON, in the shape in which an edge tells of it."""
    told = {"event_type": "gap", "payload": {"from": gap.before, "to": gap.after, "reason": gap.reason}}
    return msgspec.json.encode(told).decode()


def gap_line(gap: Gap) -> Text:
    """Return a gap as one line."""
    why = {"reset": "the stream was made anew", "expired": "they are no longer kept"}[gap.reason]
    return Text(f"gap: what was stored after {gap.before} up to {gap.after} is missing, {why}", "bold red")


def _summary(event: Event) -> Text:
    sender, content = event.payload.get("sender"), event.payload.get("content")
    if event.event_type == "chat.message" and isinstance(sender, str) and isinstance(content, str):
        return Text.assemble((_shortened(sender), "bold"), ": ", _shortened(content))
    return Text(_shortened(msgspec.json.encode(event.payload).decode()))


def _shortened(text: str) -> str:
    if len(text) > LONGEST_SUMMARY:
        return f"{printable(text[:LONGEST_SUMMARY])}… ({len(text):,} characters; --json shows all)"
    return printable(text)


def _time_of_day(timestamp: str) -> str:
    try:
        return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return printable(timestamp[:32])


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in _HARMLESS or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def _escaped_for_json(match: re.Match[str]) -> str:
    character = match[0]
    if _is_harmless(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
