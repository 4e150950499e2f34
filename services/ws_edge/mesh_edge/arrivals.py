"""Sockets that arrive at a topic: with what they know of it, until it is known from where on they are served."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from daena_mesh.cursors import Positions
from daena_mesh.errors import MeshUnavailable
from daena_mesh.history import before_newest
from daena_mesh.layout import LETTERS, STREAM_OF_LETTER
from daena_mesh.log import Log

if TYPE_CHECKING:
    from mesh_edge.reader import Reader
    from mesh_edge.topic import Topic

_RETRY_S = 0.2
_log = logging.getLogger(__name__)


class Arrivals:
    """Who was not admitted yet: the topic does not know where it stands, or what they ask for has to be looked up."""

    __slots__ = ("_admitted", "_log", "_looking_back", "_run", "_topic", "_waiting")

    def __init__(
        self,
        topic: Topic,
        log: Log,
        admitted: Callable[[Reader, dict[str, int]], None],
        run: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        """``admitted`` is told behind which positions a reader is to be served; ``run`` keeps a task."""
        self._topic = topic
        self._log = log
        self._admitted = admitted
        self._run = run
        self._waiting: dict[Reader, Positions] = {}
        self._looking_back: dict[Reader, int] = {}
        """Who begins with the newest so many events; 0 while they are looked up."""

    def arrive(self, reader: Reader, since: Positions, history: int) -> None:
        """Admit a reader as soon as the topic knows where it stands."""
        self._waiting[reader] = since
        if history and not since:
            self._looking_back[reader] = history
        if self._topic.takes_readers:
            self._admit(reader)
        elif self._topic.follower.is_live:
            self._waiting[reader] = self._from_here(since)

    def admit_all(self) -> None:
        """The topic knows where it stands."""
        for reader in tuple(self._waiting):
            self._admit(reader)

    def leave(self, reader: Reader) -> None:
        """It is gone."""
        self._waiting.pop(reader, None)
        self._looking_back.pop(reader, None)

    def is_waiting(self, reader: Reader) -> bool:
        """Whether it was not admitted yet."""
        return reader in self._waiting

    @property
    def is_empty(self) -> bool:
        """Whether all were admitted."""
        return not self._waiting

    def _admit(self, reader: Reader) -> None:
        topic, follower = self._topic, self._topic.follower
        if reader in self._looking_back:
            count, self._looking_back[reader] = self._looking_back[reader], 0
            if count:  # or it is being looked up
                self._waiting[reader] = self._from_here(self._waiting[reader])
                self._run(self._look_back(reader, count))
            return
        if self._must_wait(self._waiting[reader]):
            self._waiting[reader] = self._from_here(self._waiting[reader])
            return
        topic.flush()
        since = self._waiting.pop(reader)
        positions: dict[str, int] = {}
        gaps: list[bytes] = []
        for stream, chain in topic.chains():
            here = follower.position(stream)
            asked = since.get(LETTERS[stream])
            if asked is None:
                positions[stream] = chain.position
            elif asked.epoch != here.epoch:
                marker = self._log.epochs[stream].seq
                gaps.append(topic.gap_frame(asked, here._replace(seq=marker), "reset"))
                positions[stream] = min(marker, chain.position)
            elif asked.seq > chain.seen:
                self._waiting[reader] = since = self._from_here(since)
                self._run(self._compare(reader, since))
                return
            else:
                positions[stream] = asked.seq
        for gap in gaps:
            reader.send(gap)
        self._admitted(reader, positions)

    def _must_wait(self, since: Positions) -> bool:
        """Whether only a leader that does not answer could tell what ``since`` is worth."""
        follower = self._topic.follower
        for stream in follower.silent:
            asked, chain = since.get(LETTERS[stream]), follower.chains[stream]
            if asked is not None and (asked.epoch != chain.epoch or asked.seq > chain.seen):
                return True
        return False

    def _from_here(self, since: Positions) -> Positions:
        """``since``, and where the topic stands: who waits is owed what comes meanwhile on streams it does not name."""
        here = (self._topic.follower.position(stream) for stream, _ in self._topic.chains())
        return Positions([*here, *since.values()])

    async def _look_back(self, reader: Reader, count: int) -> None:
        """Find where the newest events begin, and admit as if that was asked for."""
        topic, follower = self._topic, self._topic.follower
        while reader in self._waiting:
            ends = topic.positions()
            lives = [follower.position(stream).epoch for stream in ends]
            for asked in self._waiting[reader].values():  # where it came in, if it had to wait
                stream = STREAM_OF_LETTER[asked.letter]
                if asked.epoch == follower.position(stream).epoch:
                    ends[stream] = min(ends[stream], asked.seq)
            shown = {stream: patterns for stream, patterns in topic.shown.items() if stream in follower.heard}
            try:
                begin = await before_newest(self._log, shown, count, ends)
            except MeshUnavailable as error:
                _log.info("a look into the history waits: %s", error)
                await asyncio.sleep(_RETRY_S)
                continue
            is_anew = lives != [follower.position(stream).epoch for stream in ends]
            if is_anew or follower.connects != self._log.connection.connects:
                await asyncio.sleep(_RETRY_S)
                continue  # what was found may lie in another life of a stream
            if reader in self._waiting:
                self._waiting[reader] = Positions(
                    follower.position(stream)._replace(seq=seq) for stream, seq in begin.items()
                )
            break
        self._looking_back.pop(reader, None)
        if reader in self._waiting and topic.takes_readers:
            self._admit(reader)

    async def _compare(self, reader: Reader, since: Positions) -> None:
        """The client is ahead of us: either we have missed something, or its position is of no event of this topic."""
        follower = self._topic.follower
        try:
            lasts = {stream: (await self._log.bounds(stream))[1] for stream in follower.heard}
            await self._log.connection.flush()
            await follower.audit()
        except MeshUnavailable as error:
            _log.info("a resuming socket waits: %s", error)
            await asyncio.sleep(_RETRY_S)
            lasts = {}
        if self._waiting.get(reader) is not since:
            return  # it has gone, or is compared anew since something was healed
        known, comes_in = {}, self._topic.takes_readers and not follower.is_healing
        for letter, asked in since.items():
            stream = STREAM_OF_LETTER.get(letter, "")
            chain = follower.chains.get(stream)
            if chain is None or asked.epoch != follower.position(stream).epoch or stream not in lasts:
                known[letter] = asked
            elif asked.seq > max(lasts[stream], chain.seen):
                here = follower.position(stream)
                reader.send(self._topic.gap_frame(asked, here, "reset"))
                known[letter] = here
            elif not comes_in or max(chain.seen, chain.verified) < asked.seq:
                known[letter] = asked  # what lies before it is being fetched right now, or was not looked for
            else:
                # All that this topic has up to the leader's head was seen: it is the position of another topic.
                known[letter] = asked._replace(seq=min(asked.seq, chain.seen))
        self._waiting[reader] = Positions(known.values())
        if comes_in:
            self._admit(reader)
