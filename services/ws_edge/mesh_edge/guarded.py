"""The topic of a session for those whom their patterns do not allow it: its owner and its members.

To whom the session belongs is in the log, in its last event. The topic follows that like everything else, so a change
comes in its place between the messages: who is removed by one is shown nothing that was stored behind it. While the
log has to be read first nobody is shown anything; who is still allowed then goes on from where they were.

Who was added may come before that was followed: nobody is refused for good before the leader was asked since they came.

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
from daena_mesh.sessions import SessionStore, state_of
from daena_mesh.stored import Stored
from daena_mesh.subjects import matches
from daena_mesh.want import Filters
from mesh_edge import closing
from mesh_edge.belonging import Belonging
from mesh_edge.closing import Closing
from mesh_edge.doorkeeper import Doorkeeper
from mesh_edge.gate import UNSURE
from mesh_edge.lobby import OPENS_WITHIN_S, Go
from mesh_edge.topic import Topic, TopicContext
from mesh_edge.topic_name import TopicName

if TYPE_CHECKING:
    from mesh_edge.reader import Reader

_RETRY_S = 0.2
_OF_SESSIONS = b"session."
_log = logging.getLogger(__name__)


class GuardedTopic(Topic):
    """Shows a session to those to whom it belongs."""

    __slots__ = ("_asking", "_keeper", "_layout", "_sessions", "_was_read", "belonging")

    def __init__(self, name: TopicName, context: TopicContext, sessions: SessionStore) -> None:
        """``name`` says whose circle counts; ``sessions`` reads it from the leader."""
        super().__init__(name, context)
        self._layout = context.log.layout
        self._sessions = sessions
        self.belonging = Belonging()
        self._keeper = Doorkeeper(self)
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

    @property
    def keeper(self) -> Doorkeeper:
        """Who holds up whom it does not know."""
        return self._keeper

    def refusal(self, user: str | None, guest: Go | None = None) -> Closing | None:
        """Why ``user`` may not follow; None where they may. A ``guest`` is forbidden only what was asked for them."""
        if not self.belonging.is_known or self.is_degraded:
            return UNSURE
        if self.belonging.includes(user):
            return None
        return UNSURE if guest is not None and not self._keeper.was_asked_for(guest) else closing.FORBIDDEN

    def join(self, reader: Reader, since: Positions, history: int = 0) -> None:
        """Let a reader follow, if it still may: it was asked before, and perhaps waited since."""
        if (why := self.refusal(reader.link.visitor.user)) is not None:
            reader.link.expel(reader, why)
            self._emptied()
            return
        self._was_read = True
        super().join(reader, since, history)

    def _expel(self, why: Closing) -> None:
        """End what those follow who may not, once they were given what was shown before."""
        for reader in tuple(self.readers):
            if why is not closing.FORBIDDEN or not self.belonging.includes(reader.link.visitor.user):
                self.flush()
                reader.link.expel(reader, why)

    # -- what is shown ------------------------------------------------------------------------------------------

    @property
    def may_be_read(self) -> bool:
        """Whether it has come to know all that may say that somebody is a member no longer."""
        return self.belonging.is_known and not self.follower.is_healing

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
                is_new = self.belonging.follow(state_of(message, self.most_bytes))
            except InvalidEvent as error:
                _log.debug("ignored: %s", error)
            else:
                if is_new:
                    self._expel(closing.FORBIDDEN)
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
            self.belonging.forget()
            self._expel(UNSURE)
        super().gap(before, after, reason)

    def healed(self) -> None:
        """Let in who waits, once it is known to whom the session belongs."""
        if self.belonging.is_known:
            super().healed()
        else:
            self.ask()

    # -- the leader ---------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """Ask the leader to whom the session belongs, for as long as that is not known, or somebody waits for it."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name=f"circle of {self.key.circle}")

    async def _ask(self) -> None:
        """What is stored after the leader has answered is followed already."""
        belonging = self.belonging
        while self._keeper.release() or not belonging.is_known:
            question, was_known = belonging.ask(), belonging.is_known
            try:
                async with asyncio.timeout(OPENS_WITHIN_S if was_known else None):
                    state = await self._sessions.state(self.key.circle)
            except (MeshUnavailable, TimeoutError) as error:
                _log.info("%s: it is not known to whom it belongs: %r", self.name, error)
                await self._not_told(question)
            except Exception:  # noqa: BLE001 - or nobody would be let in any more
                _log.exception("%s: it is not known to whom it belongs", self.name)
                await self._not_told(question)
            else:
                belonging.answer(question, state)
                if belonging.is_known and not was_known and not self.follower.is_healing:
                    super().healed()
        self._asking = None

    async def _not_told(self, question: int) -> None:
        """Hold nobody up for this question, and put none for a moment."""
        self.belonging.fail(question)
        if not self.belonging.is_known:
            self.degraded()
        self._keeper.release()
        await asyncio.sleep(_RETRY_S)
