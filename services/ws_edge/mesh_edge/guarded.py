"""The topic of a session for those whom their patterns do not allow it: its owner and its members.

To whom the session belongs is in the log, in its last event. The topic follows that like everything else, so a change
comes in its place between the messages: who is removed by one is shown nothing that was stored behind it. While the
log has to be read first nobody is shown anything; who is still allowed then goes on from where they were.

Those whom their patterns allow the session follow another topic of the same name, which knows nothing of all this.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from daena_mesh.chain import Chain
from daena_mesh.cursors import Cursor, Positions
from daena_mesh.errors import InvalidEvent, MeshUnavailable
from daena_mesh.follower import GapReason
from daena_mesh.layout import LETTERS, RECORDS
from daena_mesh.membership import NOBODY, circle_of
from daena_mesh.sessions import SessionState, SessionStore, state_of
from daena_mesh.stored import Stored
from daena_mesh.subjects import matches
from daena_mesh.want import Filters
from mesh_edge import closing
from mesh_edge.closing import Closing
from mesh_edge.gate import UNSURE
from mesh_edge.topic import Topic, TopicContext
from mesh_edge.topic_name import TopicName

if TYPE_CHECKING:
    from mesh_edge.reader import Reader

_RETRY_S = 0.2
_OF_SESSIONS = b"session."
_log = logging.getLogger(__name__)


class GuardedTopic(Topic):
    """Shows a session to those to whom it belongs."""

    __slots__ = ("_asking", "_circle", "_is_known", "_layout", "_seq", "_sessions", "_was_read")

    def __init__(self, name: TopicName, context: TopicContext, sessions: SessionStore) -> None:
        """``name`` says whose circle counts; ``sessions`` reads it from the leader."""
        super().__init__(name, context)
        self._layout = context.log.layout
        self._sessions = sessions
        self._circle = NOBODY
        self._seq = 0
        """The sequence of the event that said so."""
        self._is_known = False
        """The leader was asked, and whatever came since was taken in."""
        self._asking: asyncio.Task[None] | None = None
        self._was_read = False

    def stop(self) -> None:
        """Follow no longer."""
        if self._asking is not None:
            self._asking.cancel()
        super().stop()

    @property
    def lingers(self) -> bool:
        """Not if nobody was ever let in: or anybody who has a token could have edges follow sessions of others."""
        return self._was_read

    # -- who may follow -----------------------------------------------------------------------------------------

    def refusal(self, user: str | None) -> Closing | None:
        """Why ``user`` may not follow; None where they may."""
        if not self._is_known or self.is_degraded:
            return UNSURE
        return None if self._circle.includes(user) else closing.FORBIDDEN

    def join(self, reader: Reader, since: Positions, history: int = 0) -> None:
        """Let a reader follow, if it still may: it was asked before, and perhaps waited since."""
        if (why := self.refusal(reader.link.visitor.user)) is not None:
            reader.link.expel(reader, why)
            self._emptied()
            return
        self._was_read = True
        super().join(reader, since, history)

    def _take_in(self, state: SessionState) -> None:
        if state.seq <= self._seq:
            return
        self._seq, self._circle = state.seq, circle_of(state.session)
        self._expel(closing.FORBIDDEN)

    def _expel(self, why: Closing) -> None:
        """End what those follow who may not, once they were given what was shown before."""
        for reader in tuple(self.readers):
            if why is not closing.FORBIDDEN or not self._circle.includes(reader.link.visitor.user):
                self.flush()
                reader.link.expel(reader, why)

    # -- what is shown ------------------------------------------------------------------------------------------

    @property
    def may_be_read(self) -> bool:
        """Whether it has come to know all that may say that somebody is a member no longer."""
        return self._is_known and not self.follower.is_healing

    @property
    def shown(self) -> Filters:
        """For each stream the patterns of what it shows, which may be less than it follows."""
        return self._layout.split(self.key.patterns)

    def hides(self, message: Stored) -> bool:
        """Whether it is followed for what it says of the session alone, and nobody asked for it."""
        if not message.subject.startswith(_OF_SESSIONS):
            return False
        subject = message.subject.decode(errors="replace")
        return not any(matches(pattern, subject) for pattern in self.key.patterns)

    def event(self, message: Stored, prev: int | None) -> bool:
        """Take in what it says of the session before anybody is shown it, or what is behind it."""
        if message.subject.startswith(_OF_SESSIONS):
            try:
                self._take_in(state_of(message, self.most_bytes))
            except InvalidEvent as error:
                _log.debug("ignored: %s", error)
        if self.follower.is_healing and (self.ready or self.behind):
            self._set_all_aside()
        return False if self.hides(message) else super().event(message, prev)

    def learn(self, label: bytes, epoch: bytes, message: Stored, chain: Chain) -> None:
        """The short way is for what says nothing of the session."""
        if not message.subject.startswith(_OF_SESSIONS):
            super().learn(label, epoch, message, chain)

    def notice(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        """Show a notice, unless some may be here who are members no longer."""
        if self.may_be_read:
            super().notice(subject, reply, headers, body)

    def _set_all_aside(self) -> None:
        """Whoever may still follow when the log has been read goes on from here."""
        self.flush()
        at = self.positions()
        for reader in (*self.ready.values(), *self.behind):
            reader.fall_behind(at)

    def gap(self, before: Cursor, after: Cursor, reason: GapReason) -> None:
        """What cannot be shown may have said that somebody is a member no longer: all come in anew."""
        if after.letter == LETTERS[RECORDS]:
            self._is_known, self._seq, self._circle = False, 0, NOBODY
            self._expel(UNSURE)
        super().gap(before, after, reason)

    def healed(self) -> None:
        """Let in who waits, once it is known to whom the session belongs."""
        if self._is_known:
            super().healed()
        elif self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name=f"circle of {self.key.circle}")

    async def _ask(self) -> None:
        """What is stored after the leader has answered is followed already."""
        while not self._is_known:
            epoch = self.follower.position(RECORDS).epoch
            try:
                state = await self._sessions.state(self.key.circle)
            except MeshUnavailable as error:
                _log.info("%s: it is not known to whom it belongs: %s", self.name, error)
                self.degraded()
                await asyncio.sleep(_RETRY_S)
                continue
            except Exception:  # noqa: BLE001 - or nobody would be let in any more
                _log.exception("%s: it is not known to whom it belongs", self.name)
                self.degraded()
                await asyncio.sleep(_RETRY_S)
                continue
            if self.follower.position(RECORDS).epoch == epoch:
                self._is_known = True
                if state is not None:
                    self._take_in(state)
        self._asking = None
        if not self.follower.is_healing:
            super().healed()
