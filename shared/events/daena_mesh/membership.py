"""To whom a session belongs: to its owner, who began it, and to its members. Pure.

Patterns of a token and belonging to a session allow one as much as the other; either is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NamedTuple

from msgspec import Meta

from daena_mesh.errors import InvalidEvent
from daena_mesh.events import Session
from daena_mesh.tokens import Rights

MOST_MEMBERS = 100
MOST_USER_CHARS = 256

User = Annotated[str, Meta(min_length=1, max_length=MOST_USER_CHARS)]
"""What names a user: the ``sub`` of their tokens, any text."""

_WRITES = ("chat.{}.message", "chat.{}.typing", "chat.{}.stop", "session.{}.updated", "session.{}.deleted")


class Circle(NamedTuple):
    """To whom a session belongs."""

    owner: str | None = None
    members: frozenset[str] = frozenset()

    def includes(self, user: str | None) -> bool:
        """Whether it belongs to ``user``; to nobody who has no name."""
        return user is not None and (user == self.owner or user in self.members)


NOBODY = Circle()
"""To whom a session belongs that is not there."""


def circle_of(session: Session | None) -> Circle:
    """To whom ``session`` belongs; None where there is none."""
    return NOBODY if session is None else Circle(session.created_by, frozenset(session.members))


def may_read(rights: Rights, user: str | None, patterns: Iterable[str], session_id: str, circle: Circle) -> bool:
    """Whether ``user`` may read all that ``patterns`` match, of whom the session ``session_id`` has this ``circle``."""
    wanted = list(patterns)
    if rights.may_read(wanted):
        return True
    own = (f"chat.{session_id}.>", f"session.{session_id}.>") if circle.includes(user) else ()
    return Rights((*rights.read, *own)).may_read(wanted)


def may_write(rights: Rights, user: str | None, subject: str, session_id: str, circle: Circle) -> bool:
    """Whether ``user`` may write on ``subject``; in the session as its owner and members may, under their own name."""
    if rights.may_write(subject):
        return True
    own = [form.format(session_id) for form in _WRITES] if circle.includes(user) else []
    return any(subject == one or (user is not None and subject == f"{one}.{user}") for one in own)


def may_share(rights: Rights, user: str | None, session_id: str, circle: Circle) -> bool:
    """Whether ``user`` may say who the members are: the owner, and who may change every part of the session."""
    return rights.may_write(f"session.{session_id}.updated") or (user is not None and user == circle.owner)


def session_of(subject: str) -> str | None:
    """The one session that a subject, or a pattern, is about; None for none or several."""
    domain, _, rest = subject.partition(".")
    ident = rest.partition(".")[0]
    return ident if domain in {"chat", "session"} and ident not in {"", "*", ">"} else None


def shared(session: Session, add: Iterable[str], remove: Iterable[str]) -> list[str]:
    """The members with some more and without others, in the order in which they were added.

    The owner is none of them. Who is both added and removed is removed. Raises `InvalidEvent` where they become too
    many, or one is no user.
    """
    gone = {*remove, session.created_by}
    members = [user for user in dict.fromkeys([*session.members, *add]) if user not in gone]
    if len(members) > MOST_MEMBERS:
        raise InvalidEvent(f"a session has at most {MOST_MEMBERS} members, not {len(members)}")
    if any(not 1 <= len(user) <= MOST_USER_CHARS for user in members):
        raise InvalidEvent(f"a member is named by 1 to {MOST_USER_CHARS} characters")
    return members
