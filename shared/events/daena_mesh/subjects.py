"""The grammar of subjects: ``<domain>.<id>.<verb>`` or ``<domain>.<id>.<verb>.<author>``.

Every token that comes from outside passes `check_id` before a subject is built from it: one ``*`` in an id would
subscribe to every session, and a token of some thousand characters closes the connection to NATS for good.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NamedTuple

from daena_mesh.errors import InvalidId, InvalidSubject

MAX_ID = 64
MAX_TOKENS = 8  # twice what a subject has; a long line to NATS closes the connection, whenever it is sent again
MAX_SCOPE = 80  # a presence topic or the scope of a notice carries a whole connection_id, such as chat_<session>

_is_id = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_is_scope = re.compile(r"[A-Za-z0-9_-]{1,80}").fullmatch
_is_word = re.compile(r"[a-z][a-z0-9_]{0,31}").fullmatch
_WIDE_DOMAINS = frozenset({"presence", "system"})
_NO_NAMES = frozenset({"NAMES", "LIST"})


def check_id(value: object, what: str = "id") -> str:
    """Return ``value`` if it is an id, one token of ``[A-Za-z0-9_-]`` of 1 to 64 characters.

    Raises `InvalidId`, which calls the value ``what``.
    """
    if isinstance(value, str) and _is_id(value):
        return value
    raise InvalidId(_refusal(value, what, MAX_ID))


def check_name(value: object, what: str = "name") -> str:
    """Like `check_id`, for who publishes: ``NAMES`` and ``LIST`` would widen what NATS lets one do."""
    if (name := check_id(value, what)) in _NO_NAMES:
        raise InvalidId(f"{what} must not be {name}")
    return name


def check_scope(value: object, what: str = "scope") -> str:
    """Like `check_id`, to 80 characters, for the ids of ``presence`` and ``system``."""
    if isinstance(value, str) and _is_scope(value):
        return value
    raise InvalidId(_refusal(value, what, MAX_SCOPE))


def _refusal(value: object, what: str, most: int) -> str:
    if not isinstance(value, str):
        return f"{what} must be text, not {type(value).__name__}"
    shown = ascii(value if len(value) <= 40 else value[:40] + "...")
    return f"{what} {shown} must be 1 to {most} characters of A-Z a-z 0-9 _ -; safe_id() maps any text to such an id"


def safe_id(text: str) -> str:
    """An id for any text, the same one always: the text itself where it is one, else what is readable and a hash.

    >>> safe_id("ada@example.org")
    'ada-example-org-7189365e6356'
    """
    if _is_id(text):
        return text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", text)[: MAX_ID - len(digest) - 1].strip("-")
    return f"{readable}-{digest}" if readable else digest


class Subject(NamedTuple):
    """A subject taken apart."""

    domain: str
    id: str
    verb: str
    author: str | None = None

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Take ``text`` apart; raises `InvalidSubject` or `InvalidId`."""
        tokens = text.split(".")
        if not 3 <= len(tokens) <= 4 or not _is_word(tokens[0]) or not _is_word(tokens[2]):
            shown = ascii(text if len(text) <= 80 else text[:80] + "...")
            raise InvalidSubject(f"subject {shown} is not <domain>.<id>.<verb> or <domain>.<id>.<verb>.<author>")
        check = check_scope if tokens[0] in _WIDE_DOMAINS else check_id
        check(tokens[1], f"the id in the {tokens[0]} subject")
        author = check_id(tokens[3], "author") if len(tokens) == 4 else None
        return cls(tokens[0], tokens[1], tokens[2], author)

    @property
    def event_type(self) -> str:
        """Domain and verb, such as ``chat.message``."""
        return f"{self.domain}.{self.verb}"

    def __str__(self) -> str:
        return ".".join(self if self.author is not None else self[:3])  # type: ignore[arg-type]


def subject_for(event_type: str, ident: str, author: str | None = None) -> str:
    """The subject of an event of ``event_type`` about ``ident``; raises `InvalidSubject` or `InvalidId`."""
    domain, verb = check_event_type(event_type)
    check = check_scope if domain in _WIDE_DOMAINS else check_id
    subject = f"{domain}.{check(ident, f'the id in the {domain} subject')}.{verb}"
    return subject if author is None else f"{subject}.{check_id(author, 'author')}"


def check_event_type(event_type: str) -> tuple[str, str]:
    """Take an event type apart into domain and verb; raises `InvalidSubject`."""
    domain, _, verb = event_type.partition(".")
    if not _is_word(domain) or not _is_word(verb):
        raise InvalidSubject(f"event type {event_type[:80]!a} is not <domain>.<verb>")
    return domain, verb


def event_type_of(subject: str) -> str:
    """The event type of a subject that is known to be well formed."""
    domain, _, verb, *_ = subject.split(".")
    return f"{domain}.{verb}"


def check_pattern(pattern: str) -> str:
    """Return ``pattern`` if NATS can subscribe to it and its words are ours; raises `InvalidSubject`."""
    tokens = pattern.split(".", MAX_TOKENS)
    last = len(tokens) - 1
    for i, word in enumerate(tokens):
        if i == MAX_TOKENS or not (_is_scope(word) or word == "*" or (word == ">" and i == last)):
            shown = ascii(pattern if len(pattern) <= 80 else pattern[:80] + "...")
            raise InvalidSubject(
                f"{shown} is not a subject: up to {MAX_TOKENS} tokens of A-Z a-z 0-9 _ -, a single *, or > at the end"
            )
    return pattern


def matches(pattern: str, subject: str) -> bool:
    """Whether a subscription to ``pattern`` receives ``subject``, which has no wildcards."""
    return covers(pattern, subject)


def covers(pattern: str, other: str) -> bool:
    """Whether every subject that ``other`` matches is matched by ``pattern`` too. Both may have wildcards."""
    have, want = pattern.split("."), other.split(".")
    for i, word in enumerate(have):
        if word == ">":
            return len(want) > i == len(have) - 1
        if i >= len(want) or want[i] == ">" or word not in ("*", want[i]):
            return False
    return len(have) == len(want)


def intersection(pattern: str, other: str) -> str | None:
    """The pattern of the subjects that both match; None where there is no such subject."""
    have, want = pattern.split("."), other.split(".")
    both: list[str] = []
    for i, (mine, theirs) in enumerate(zip(have, want, strict=False)):
        if mine == ">":
            return ".".join([*both, *want[i:]])
        if theirs == ">":
            return ".".join([*both, *have[i:]])
        if mine != theirs and "*" not in (mine, theirs):
            return None
        both.append(theirs if mine == "*" else mine)
    return ".".join(both) if len(have) == len(want) else None


def overlaps(pattern: str, other: str) -> bool:
    """Whether some subject is matched by both."""
    return intersection(pattern, other) is not None
