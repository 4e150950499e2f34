"""Reading the log where NATS lets one read no stream: an API asks JetStream instead, for one session at a time.

A request on ``mesh.log.<session>.<name>`` says what to ask. NATS holds that only ``<name>``, and only with rights in
that session, publishes there. The API passes it on with the reply subject it came with: JetStream answers the agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from daena_mesh.errors import ConfigurationError, InvalidSubject
from daena_mesh.layout import Layout, epoch_subject
from daena_mesh.nats_claims import User
from daena_mesh.permissions import AGENT, role_of
from daena_mesh.subjects import check_pattern, covers

SUBJECTS = "mesh.log.*.*"
KEPT = "KEPT"
"""From which sequence on a stream has lost nothing: what an API finds out for those who may not."""
SINCE = "SINCE"
"""Which sequence was the first at a time."""
_PASSED_ON = frozenset({"STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET"})
_MOST_MESSAGES = 1_000
_MOST_BYTES = 1_048_576


class LogRequest(msgspec.Struct):
    """What an agent wants to know of a stream: a verb of JetStream's API or one of ours, and its request."""

    verb: str
    stream: str
    request: dict[str, Any] = {}

    def is_allowed(self, session: str, layout: Layout) -> bool:
        """Whether who may read ``session`` may ask this."""
        if self.stream not in layout.streams or not _is_bounded(self.request):
            return False
        match self.verb, self.request:
            case ("STREAM.INFO" | "KEPT", {**rest}) if not rest:
                return True
            case "SINCE", {"at": str(), **rest} if not rest:
                return True
            case "STREAM.MSG.GET", {"seq": int(), **rest} if not rest:
                return True  # what lies there is looked at before it is passed on
            case "STREAM.MSG.GET", {"last_by_subj": pattern, **rest} if not rest:
                patterns = [pattern]
            case "DIRECT.GET", {"multi_last": list(patterns), "seq": _, "max_bytes": _, **rest} if not rest:
                pass
            case "DIRECT.GET", {"next_by_subj": pattern, "seq": _, "batch": _, "max_bytes": _, **rest} if not rest:
                patterns = [pattern]
            case _:
                return False
        return _all_in(session, patterns, epoch_subject(self.stream))

    @property
    def is_passed_on(self) -> bool:
        """Whether JetStream itself answers."""
        return self.verb in _PASSED_ON


class LogDoor:
    """Where an agent asks for what its sessions hold."""

    def __init__(self, name: str, sessions: Sequence[str]) -> None:
        """For the agent ``name``, who has rights in ``sessions``."""
        self.name = name
        self.sessions = sessions

    @classmethod
    def of(cls, user: User | None) -> LogDoor | None:
        """The one that ``user`` has to take; None where NATS lets it read by itself."""
        if user is None or role_of(user.tags) != AGENT or not user.tags:
            return None
        return cls(user.name, [tag.removeprefix("session:") for tag in user.tags if tag.startswith("session:")])

    def address(self, verb: str, stream: str, request: Mapping[str, Any]) -> tuple[str, bytes]:
        """The subject and the body of a question; raises `ConfigurationError` without rights in any session."""
        named = request.get("last_by_subj") or request.get("next_by_subj")
        patterns = [named] if named else request.get("multi_last", [])
        session = next((found for pattern in patterns if (found := self.session_of(pattern))), None)
        if session is None:
            if not self.sessions:
                raise ConfigurationError(f"the credentials of {self.name} are for no session")
            session = self.sessions[0]
        return f"mesh.log.{session}.{self.name}", msgspec.json.encode(LogRequest(verb, stream, dict(request)))

    def session_of(self, pattern: str) -> str | None:
        """In which of its sessions all lies that ``pattern`` matches."""
        return next((session for session in self.sessions if is_in(session, pattern)), None)

    def check(self, patterns: Iterable[str]) -> None:
        """Raise `ConfigurationError` where one of ``patterns`` lies in none of the sessions."""
        for pattern in patterns:
            if self.session_of(pattern) is None:
                raise ConfigurationError(
                    f"the credentials of {self.name} are not for {pattern}: `mesh creds agent {self.name} --session … "
                    "--renew` makes others"
                )

    def split(self, patterns: Sequence[str]) -> list[list[str]]:
        """``patterns`` session by session."""
        by_session: dict[str | None, list[str]] = {}
        for pattern in patterns:
            by_session.setdefault(self.session_of(pattern), []).append(pattern)
        return list(by_session.values())


def is_in(session: str, pattern: str) -> bool:
    """Whether all that ``pattern`` matches is about ``session``."""
    return covers(f"chat.{session}.>", pattern) or covers(f"session.{session}.>", pattern)


def _all_in(session: str, patterns: Iterable[object], marker: str = "") -> bool:
    for pattern in patterns:
        if not isinstance(pattern, str):
            return False
        try:
            check_pattern(pattern)
        except InvalidSubject:
            return False
        if pattern != marker and not is_in(session, pattern):
            return False
    return True


def _is_bounded(request: Mapping[str, object]) -> bool:
    bounds = {"seq": 2**63, "batch": _MOST_MESSAGES, "max_bytes": _MOST_BYTES}
    numbers = ((request[key], most) for key, most in bounds.items() if key in request)
    return all(type(number) is int and 0 <= number <= most for number, most in numbers)
