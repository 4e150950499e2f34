"""Several patterns of several streams, read side by side and given as one sequence.

Pure: whoever reads feeds each lane with batches, and asks the leaders where a batch says that nothing follows. A
stream's own order is kept always; across streams the time of storing orders.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from daena_mesh.reader import Batch
from daena_mesh.stored import Stored


def moment(time: bytes) -> bytes:
    """A key that sorts RFC 3339 times in UTC, whatever the number of their digits."""
    return time.removesuffix(b"Z")


class Lane:
    """One pattern of one stream, from a sequence on, up to a limit."""

    __slots__ = ("after", "ended", "limit", "messages", "pattern", "stream")

    def __init__(self, stream: str, pattern: str, after: int, limit: int | None) -> None:
        """``limit`` is the sequence up to which it is read, None for as far as it goes."""
        self.stream = stream
        self.pattern = pattern
        self.after = after
        """Where the next batch begins."""
        self.limit = limit
        self.messages: deque[Stored] = deque()
        """What was read and not taken yet."""
        self.ended = limit is not None and limit <= after
        """Nothing is left to be read."""

    def feed(self, batch: Batch) -> bool:
        """Take what follows `after`.

        Returns False where the batch says that nothing follows, and the limit was not reached. A stale replica says so
        too, so the leader must confirm it.
        """
        messages = batch.messages
        if messages:
            self.after = messages[-1].seq
        if self.limit is not None and self.after >= self.limit:
            # What lies behind the limit may lie behind something that another lane of the stream has not been told.
            self.ended = True
            messages = [message for message in messages if message.seq <= (self.limit or 0)]
        elif not batch.pending and self.limit is None:
            self.ended = True
        self.messages.extend(messages)
        return self.ended or batch.pending > 0

    def confirm(self, head: int) -> None:
        """The leader's newest message on the pattern is at ``head``."""
        self.ended = head <= self.after


class Lanes:
    """Lanes as one sequence, each message once."""

    __slots__ = ("_given", "all")

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.all = lanes
        self._given: dict[str, int] = {}

    def dry(self) -> list[Lane]:
        """Those that must be fed before anything more can be taken."""
        return [lane for lane in self.all if not lane.messages and not lane.ended]

    def has_ended(self, stream: str) -> bool:
        """Whether all that was to be read of ``stream`` was taken."""
        return all(lane.ended and not lane.messages for lane in self.all if lane.stream == stream)

    def take(self) -> list[Stored]:
        """As much as is known to be in order."""
        taken: list[Stored] = []
        if self.dry():
            return taken
        filled: dict[str, list[Lane]] = {}
        for lane in self.all:
            if lane.messages:
                filled.setdefault(lane.stream, []).append(lane)
        if len(filled) == 1 and len(*filled.values()) == 1:
            ((only,),) = filled.values()
            return self._take_all(only)
        first = {stream: min(lanes, key=_next_seq) for stream, lanes in filled.items()}
        while first:
            stream = next(iter(first)) if len(first) == 1 else min(first, key=lambda s: _next_moment(first[s]))
            lane = first[stream]
            message = lane.messages.popleft()
            if message.seq > self._given.get(stream, 0):
                self._given[stream] = message.seq
                taken.append(message)
            if not lane.messages:
                if not lane.ended:
                    break  # what it is fed next may come before what the others have
                filled[stream].remove(lane)
                if not filled[stream]:
                    del first[stream]
                    continue
            lanes = filled[stream]
            first[stream] = lanes[0] if len(lanes) == 1 else min(lanes, key=_next_seq)
        return taken

    def _take_all(self, lane: Lane) -> list[Stored]:
        """There is nothing to put in order."""
        given = self._given.get(lane.stream, 0)
        taken = [message for message in lane.messages if message.seq > given]
        lane.messages.clear()
        if taken:
            self._given[lane.stream] = taken[-1].seq
        return taken


def _next_seq(lane: Lane) -> int:
    return lane.messages[0].seq


def _next_moment(lane: Lane) -> bytes:
    return moment(lane.messages[0].time)
