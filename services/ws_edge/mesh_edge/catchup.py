"""Sockets that are served from the log: those that resume, and those that read too slowly.

One replay of a range serves everybody who wants that range. A socket joins the live ones when it has come to where
the topic stands; what was shown while its last chunk was read is remembered until then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from daena_mesh.cursors import Positions
from daena_mesh.errors import MeshUnavailable
from daena_mesh.log import Log
from mesh_edge.arrivals import Arrivals
from mesh_edge.chunk import Chunk, read_behind
from mesh_edge.tail import Shown, Tail

if TYPE_CHECKING:
    from mesh_edge.reader import Reader
    from mesh_edge.topic import Topic

_KEEP_S = 1.0
_AHEAD_S = 0.1
_RETRY_S = 0.2
_log = logging.getLogger(__name__)

Key = tuple[int, ...]
"""Whether it is for readers who were live before, and where they stand."""


class CatchUp:
    """The sockets of one topic that do not follow live."""

    def __init__(self, topic: Topic, log: Log) -> None:
        """Nothing happens before a socket arrives."""
        self._topic = topic
        self._log = log
        self._ahead: dict[Reader, None] = {}
        self._fetching: dict[Reader, None] = {}
        self._chunks: dict[Key, Chunk] = {}
        self._tail: Tail | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_auditing = False
        self._arrivals = Arrivals(topic, log, self._admit, self._run)

    # -- coming in ----------------------------------------------------------------------------------------------

    def arrive(self, reader: Reader, since: Positions, history: int = 0) -> None:
        """Admit a reader as soon as the topic knows where it stands."""
        self._arrivals.arrive(reader, since, history)

    def admit_waiting(self) -> None:
        """The topic knows where it stands."""
        self._arrivals.admit_all()
        self.moved()

    def leave(self, reader: Reader) -> None:
        """It is gone."""
        self._arrivals.leave(reader)
        self._ahead.pop(reader, None)
        self._fetching.pop(reader, None)

    def is_waiting(self, reader: Reader) -> bool:
        """Whether it was not admitted yet."""
        return self._arrivals.is_waiting(reader)

    @property
    def is_idle(self) -> bool:
        """Whether nobody catches up, and nothing is kept for who would."""
        is_served = self._ahead or self._fetching or self._chunks or self._tasks
        return not is_served and self._arrivals.is_empty

    def stop(self) -> None:
        """Nobody catches up any more."""
        for task in self._tasks:
            task.cancel()

    def _admit(self, reader: Reader, positions: dict[str, int]) -> None:
        topic = self._topic
        if all(positions[stream] >= chain.position for stream, chain in topic.chains()):
            self._join(reader, positions)
        else:
            reader.send(topic.greeting(reader, recovered=False, positions=positions))
            self.begin(reader, positions)

    def _join(self, reader: Reader, positions: dict[str, int], data: bytes = b"") -> None:
        """It is where the topic is, with ``data``: give it what was shown meanwhile, and let it follow live."""
        topic = self._topic
        topic.flush()
        missing = self._tail.behind(positions) if self._tail is not None else []
        begin = topic.positions()
        for shown in reversed(missing):
            begin[shown.stream] = shown.before
        announce, reader.announce = reader.announce, False
        reader.positions = None
        reader.joined = positions
        topic.set_ready(reader)
        if announce:
            data += topic.greeting(reader, recovered=True, positions=begin)
        if missing:
            data += b"".join(shown.frame for shown in missing)
        if data:
            reader.send(data)

    # -- from the log -------------------------------------------------------------------------------------------

    def begin(self, reader: Reader, positions: dict[str, int]) -> None:
        """Serve a socket from the log, behind ``positions``; called again whenever it has taken all it was given."""
        if reader in self._fetching:
            return
        reader.positions = positions
        key = _key(reader, positions)
        if (chunk := self._chunks.get(key)) is None:
            chunk = self._chunks[key] = Chunk()
            if self._tail is None:
                self._tail = Tail()
                self._topic.is_remembering = True
            self._run(self._fetch(key, chunk, positions))
        if chunk.waiting is None:
            self._give(reader, chunk)
        else:
            self._fetching[reader] = None
            chunk.waiting.append(reader)

    async def _fetch(self, key: Key, chunk: Chunk, positions: dict[str, int]) -> None:
        topic = self._topic
        while (read := await read_behind(positions, topic, self._log, were_live=bool(key[0]))) is None:
            await asyncio.sleep(_RETRY_S)
            if self._chunks.get(key) is not chunk:
                return
        if self._chunks.get(key) is not chunk:
            return  # forgotten: what waited for it was told to begin anew
        topic.counts.pieces_read += 1
        chunk.fill(read, positions, topic)
        waiting, chunk.waiting = chunk.waiting or [], None
        for reader in waiting:
            self._give(reader, chunk)
        asyncio.get_running_loop().call_later(_KEEP_S, self._drop, key, chunk)

    def _give(self, reader: Reader, chunk: Chunk) -> None:
        self._fetching.pop(reader, None)
        if reader.positions is None or reader not in self._topic.readers:
            return
        self._topic.counts.pieces_given += 1
        for stream, kept in chunk.expired.items():
            here = self._topic.follower.position(stream)
            before = here._replace(seq=reader.positions[stream])
            reader.send(self._topic.gap_frame(before, here._replace(seq=kept - 1), "expired"))
        reader.positions = chunk.positions
        if chunk.ended and reader.is_drained and self._is_where_topic_is(chunk.positions):
            self._join(reader, chunk.positions, chunk.data)  # in one write
            return
        if chunk.data:
            reader.send(chunk.data)
        if chunk.ended:
            self._ahead[reader] = None
            self._settle(reader)
        elif reader.is_drained:
            asyncio.get_running_loop().call_soon(self._go_on, reader)

    def _is_where_topic_is(self, positions: dict[str, int]) -> bool:
        """Whether who stands there can join, and nothing was shown meanwhile that would have to wait for its room."""
        return (
            self._tail is not None
            and self._tail.is_untouched
            and not self._topic.follower.is_healing
            and all(chain.seen >= positions[stream] for stream, chain in self._topic.chains())
        )

    def go_on(self, reader: Reader) -> None:
        """It has taken all it was given."""
        if reader.positions is not None and reader not in self._ahead and not self.is_waiting(reader):
            self.begin(reader, reader.positions)

    def _go_on(self, reader: Reader) -> None:
        self._topic.catch_up.go_on(reader)  # it may be another one by now: a topic keeps none that is idle

    def moved(self) -> None:
        """The topic has shown more."""
        for reader in tuple(self._ahead):
            self._settle(reader)

    def _settle(self, reader: Reader) -> None:
        """Let it join if the topic has come to where it is: the log may know an event before we see it live."""
        positions = reader.positions
        if positions is None or self._tail is None or self._topic.follower.is_healing:
            return
        if not reader.is_drained:  # what was shown meanwhile would come on top: it goes on from the log when it is
            del self._ahead[reader]
            return
        if any(max(chain.seen, chain.verified) < positions[stream] for stream, chain in self._topic.chains()):
            if not self._is_auditing:
                self._is_auditing = True
                self._run(self._audit_soon())
            return
        del self._ahead[reader]
        if self._tail.has_forgotten(positions):
            key = _key(reader, positions)
            if (chunk := self._chunks.get(key)) is not None and chunk.waiting is None:
                del self._chunks[key]  # or it would be given what was there then; one being read has more
            asyncio.get_running_loop().call_soon(self._go_on, reader)
        else:
            self._join(reader, positions)

    async def _audit_soon(self) -> None:
        await asyncio.sleep(_AHEAD_S)
        if self._ahead:
            try:
                await self._topic.follower.audit()
            except MeshUnavailable as error:
                _log.info("%s: %s", self._topic.name, error)
        self._is_auditing = False
        self.moved()

    # -- what is shown meanwhile --------------------------------------------------------------------------------

    def remember(self, stream: str, seq: int, before: int, frame: bytes) -> None:
        """The topic shows an event; who is about to join will want it."""
        if self._tail is not None:
            self._tail.add(Shown(stream, seq, before, frame))

    def forget(self) -> None:
        """Positions changed their meaning: whoever catches up reads the log once more."""
        self._chunks = {}
        self._remember_nothing()
        again = [*self._fetching, *self._ahead]
        self._ahead.clear()
        self._fetching.clear()
        for reader in again:
            asyncio.get_running_loop().call_soon(self._go_on, reader)

    def _drop(self, key: Key, chunk: Chunk) -> None:
        if self._chunks.get(key) is chunk:
            del self._chunks[key]
            if not self._chunks and not self._ahead:
                self._remember_nothing()
                self._topic.tidy()

    def _remember_nothing(self) -> None:
        self._topic.is_remembering = False
        self._tail = None

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._topic.tidy()


def _key(reader: Reader, positions: dict[str, int]) -> Key:
    return bool(reader.lived), *positions.values()
