"""What a test expects of an event, and what to say when it did not come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from daena_mesh.events import PAYLOADS, Event
from daena_mesh.subjects import Subject

_MOST_SHOWN = 10
_WIDEST = 200
_ABSENT = object()


class Expectation:
    """An event of a type, with some fields of its payload.

    A field is compared with ``==``, so that what says itself what it equals (``pytest.approx``, ``unittest.mock.ANY``)
    does; of an object only the keys that are named count.
    """

    def __init__(self, event_type: str, fields: Mapping[str, Any]) -> None:
        self.event_type = event_type
        self._fields = dict(fields)

    def __str__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._fields.items())
        return f"{self.event_type} with {fields}" if fields else self.event_type

    def is_met_by(self, event: Event) -> bool:
        """Whether this is such an event."""
        return event.event_type == self.event_type and not self.differences(event)

    def differences(self, event: Event) -> list[str]:
        """The fields in which an event of this type differs, in words."""
        found = fields_of(event)
        return [
            f"{name} is absent" if found.get(name, _ABSENT) is _ABSENT else f"{name}={found[name]!r}"
            for name, wanted in self._fields.items()
            if not _is_like(wanted, found.get(name, _ABSENT))
        ]

    def failure(self, events: Sequence[Event], within_s: float) -> str:
        """What did come instead, in words: what is nearest first."""
        lines = [f"{self} did not come within {within_s:g} s"]
        near = [event for event in events if event.event_type == self.event_type]
        near.sort(key=lambda event: len(self.differences(event)))  # stable: among equals the order of the log
        lines += [f"  {event.subject} came, but {', '.join(self.differences(event))}" for event in near[:_MOST_SHOWN]]
        if len(near) > _MOST_SHOWN:
            lines.append(f"  and {len(near) - _MOST_SHOWN} more of this type")
        others = Counter(event.event_type for event in events if event.event_type != self.event_type)
        if others:
            lines.append("also came: " + ", ".join(f"{count} x {kind}" for kind, count in sorted(others.items())))
        elif not near:
            lines.append("nothing came at all")
        return "\n".join(line if len(line) <= _WIDEST else line[:_WIDEST] + " ..." for line in lines)


def fields_of(event: Event) -> dict[str, Any]:
    """The payload, with the id that the subject has where the payload leaves it out, as one by hand often does."""
    kind = PAYLOADS.get(event.event_type)
    return event.payload if kind is None else {kind.id_field: Subject.parse(event.subject).id, **event.payload}


def _is_like(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(_is_like(value, found.get(key, _ABSENT)) for key, value in wanted.items())
    return bool(wanted == found)
