"""What a caller may do in a session: what their patterns allow, and what belongs to them.

Only who is not allowed it by their patterns has the session's leader asked. For them a session of others, one that was
deleted and one that never was are the same: 403. So nobody learns from an answer whether there is such a session.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from daena_mesh.errors import DeletedSession, UnknownSession
from daena_mesh.events import Session
from daena_mesh.membership import NOBODY, Circle, circle_of, may_read, may_share, may_write, session_of
from daena_mesh.sessions import Allowed
from mesh_api.callers import Caller
from mesh_api.context import Context

_DOMAINS = ("chat", "session")


async def check_read(context: Context, caller: Caller, session_id: str, *patterns: str) -> None:
    """Raise `Problem` unless they may read ``patterns``, or everything of the session where none are given."""
    wanted = patterns or tuple(f"{domain}.{session_id}.>" for domain in _DOMAINS)
    if not caller.rights.may_read(wanted):
        circle = await _circle(context, caller, session_id) or NOBODY
        if not may_read(caller.rights, caller.user, wanted, session_id, circle):
            caller.check_read(*wanted)


async def readable(context: Context, caller: Caller, patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns for what they may read of what ``patterns`` match; of a session that is theirs all that was asked.

    Raises `Problem` where that is nothing, or takes too many patterns to say.
    """
    own: list[str] = []
    others: list[str] = []
    theirs: dict[str, bool] = {}
    for pattern in patterns:
        session_id = None if caller.rights.may_read((pattern,)) else session_of(pattern)
        if session_id is not None and session_id not in theirs:
            theirs[session_id] = (await _circle(context, caller, session_id) or NOBODY).includes(caller.user)
        (own if session_id is not None and theirs[session_id] else others).append(pattern)
    return (*own, *(caller.readable(others) if others else ()))


async def check_write(context: Context, caller: Caller, session_id: str, subject: str) -> None:
    """Raise `Problem` unless they may write on ``subject``, which is of the session."""
    if not caller.rights.may_write(subject):
        circle = await _circle(context, caller, session_id) or NOBODY
        if not may_write(caller.rights, caller.user, subject, session_id, circle):
            caller.check_write(subject)


async def check_join(context: Context, caller: Caller, session_id: str, subject: str, reads: Sequence[str]) -> None:
    """Raise `Problem` unless they may write on ``subject`` and read ``reads`` in the session, or may begin it."""
    circle = await _circle(context, caller, session_id)
    if circle is None and caller.rights.may_write(f"session.{session_id}.created"):
        return
    if circle is None or not circle.includes(caller.user):
        caller.check_write(subject)
    if circle is not None and not circle.includes(caller.user):
        caller.check_read(*reads)


def writing(caller: Caller, session_id: str, subject: str) -> Allowed | None:
    """What `SessionStore` asks before it writes on ``subject``; None where their patterns allow it anyway."""
    if caller.rights.may_write(subject):
        return None

    def allowed(session: Session) -> None:
        if not may_write(caller.rights, caller.user, subject, session_id, circle_of(session)):
            caller.check_write(subject)

    return allowed


def sharing(caller: Caller, session_id: str) -> Allowed | None:
    """The same for a change of the members."""
    subject = f"session.{session_id}.updated"
    if caller.rights.may_write(subject):
        return None

    def allowed(session: Session) -> None:
        if not may_share(caller.rights, caller.user, session_id, circle_of(session)):
            caller.check_write(subject)

    return allowed


@contextlib.contextmanager
def hiding(caller: Caller, subject: str) -> Iterator[None]:
    """Whether there is, or was, such a session is told only to who may write on ``subject`` by their patterns."""
    try:
        yield
    except (UnknownSession, DeletedSession):
        caller.check_write(subject)
        raise


async def _circle(context: Context, caller: Caller, session_id: str) -> Circle | None:
    """To whom it belongs, as its stream's leader has it; None where there never was such a session."""
    if caller.user is None:
        return NOBODY
    try:
        return circle_of((await context.sessions.read(session_id)).session)
    except UnknownSession:
        return None
    except DeletedSession:
        return NOBODY
