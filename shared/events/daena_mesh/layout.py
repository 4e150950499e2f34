"""Which stream holds which subject: pure data and the look-up.

JetStream refuses streams whose subjects overlap, so each subject has one owner. ``MESH_SUBJECTS`` adds verbs and
domains, such as ``chat.reaction=RECORDS,project.>=RECORDS``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from daena_mesh.errors import ConfigurationError, InvalidSubject, NotCovered
from daena_mesh.subjects import check_pattern, covers, overlaps

RECORDS = "RECORDS"
SIGNALS = "SIGNALS"
LETTERS: Mapping[str, str] = {RECORDS: "R", SIGNALS: "S"}
STREAM_OF_LETTER: Mapping[str, str] = {letter: stream for stream, letter in LETTERS.items()}

_BASE: Mapping[str, tuple[str, ...]] = {
    RECORDS: ("chat.*.message", "chat.*.message.*", "session.>", "council.>"),
    SIGNALS: (
        *("chat.*.delta", "chat.*.delta.*", "chat.*.typing", "chat.*.typing.*"),
        *("chat.*.stop", "chat.*.stop.*"),
        *("agent.>", "task.>", "brain.>", "presence.>", "system.>"),
    ),
}
_RESERVED = ("live.>", "mesh.>", "ask.>", "svc.>")

TTL_S: Mapping[str, int] = {"chat.delta": 600, "chat.typing": 5, "chat.stop": 60}
"""Seconds after which events of these types expire by themselves."""


def epoch_subject(stream: str) -> str:
    """Where a stream keeps the marker with its own epoch."""
    return f"mesh.epoch.{stream}"


class Layout:
    """The streams and the subjects that each takes."""

    def __init__(self, extra: Mapping[str, str] | None = None) -> None:
        """``extra`` maps more patterns to stream names; raises `ConfigurationError` where they overlap."""
        self._subjects = {stream: list(patterns) for stream, patterns in _BASE.items()}
        for pattern, stream in (extra or {}).items():
            self._add(pattern, stream)
        self._owner = lru_cache(maxsize=4096)(self._find)

    @classmethod
    def from_setting(cls, text: str) -> Layout:
        """Read ``chat.reaction=RECORDS,project.>=RECORDS``: an event type, or a pattern of subjects, and its stream."""
        extra: dict[str, str] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            name, equals, stream = entry.partition("=")
            if not equals:
                raise ConfigurationError(f"MESH_SUBJECTS: {entry!r} is not <event type or pattern>=<stream>")
            domain, dot, verb = name.strip().partition(".")
            if not dot:
                raise ConfigurationError(f"MESH_SUBJECTS: {name!r} is neither an event type nor a pattern of subjects")
            wide = "." in verb or verb == ">"
            patterns = (name.strip(),) if wide else (f"{domain}.*.{verb}", f"{domain}.*.{verb}.*")
            for pattern in patterns:
                if pattern in extra:
                    raise ConfigurationError(f"MESH_SUBJECTS: {pattern!r} is named twice")
                extra[pattern] = stream.strip()
        return cls(extra)

    def _add(self, pattern: str, stream: str) -> None:
        if stream not in self._subjects:
            raise ConfigurationError(f"MESH_SUBJECTS: {stream!r} is no stream; there are {', '.join(self._subjects)}")
        try:
            check_pattern(pattern)
        except InvalidSubject as error:
            raise ConfigurationError(f"MESH_SUBJECTS: {error}") from None
        for other in (*_RESERVED, *(p for patterns in self._subjects.values() for p in patterns)):
            if overlaps(pattern, other):
                raise ConfigurationError(f"MESH_SUBJECTS: {pattern!r} overlaps with {other!r}, which is taken already")
        self._subjects[stream].append(pattern)

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of the streams that events live in."""
        return tuple(self._subjects)

    def subjects(self, stream: str) -> tuple[str, ...]:
        """What ``stream`` takes, with the marker of its epoch."""
        return (*self._subjects[stream], epoch_subject(stream))

    def stream_of(self, subject: str) -> str:
        """The stream that takes ``subject``; raises `NotCovered`."""
        if (stream := self._owner(subject)) is None:
            raise NotCovered(
                f"no stream takes {subject[:80]!r}; the setting MESH_SUBJECTS adds domains and verbs, "
                "such as MESH_SUBJECTS='project.>=RECORDS'"
            )
        return stream

    def _find(self, subject: str) -> str | None:
        for stream, patterns in self._subjects.items():
            if any(covers(pattern, subject) for pattern in patterns):
                return stream
        return None

    def split(self, patterns: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """For each stream those of ``patterns`` that can match something in it; streams without any are left out."""
        wanted = {
            stream: tuple(p for p in patterns if any(overlaps(p, subject) for subject in subjects))
            for stream, subjects in self._subjects.items()
        }
        return {stream: filters for stream, filters in wanted.items() if filters}
