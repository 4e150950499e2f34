"""The model finds bugs that are planted: each of these was, or might have been, a real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from daena_mesh import want
from daena_mesh.chain import Chain, Hold, Verdict
from daena_mesh.follower import Follower
from daena_mesh.lanes import Lane
from daena_mesh.log import Log
from daena_mesh.reader import Batch, StreamReader
from daena_mesh.stored import Stored
from mesh_edge import catchup, chunk
from mesh_edge.arrivals import Arrivals
from mesh_edge.catchup import CatchUp
from mesh_edge.fanout import Fanout
from mesh_edge.reader import Reader
from mesh_edge.topic import Topic
from tests.model.scripts import explore
from tests.model.witness import Broken

MOST_EXAMPLES = 300

Plant = Callable[[pytest.MonkeyPatch], None]


def dropped_heal(patch: pytest.MonkeyPatch) -> None:
    """A gap that a live message shows is not noticed."""
    judge = Chain.judge

    def judged(self: Chain, message: Stored) -> Verdict:
        verdict = judge(self, message)
        return Verdict.SHOW if verdict is Verdict.GAP else verdict

    patch.setattr(Chain, "judge", judged)


def swapped_flush(patch: pytest.MonkeyPatch) -> None:
    """What one turn brought is written in the wrong order."""
    write = Fanout._write

    def written(self: Fanout) -> int:
        if self._more:
            *self._more, self._first = self._first, *self._more
        return write(self)

    patch.setattr(Fanout, "_write", written)


def forgotten_hold(patch: pytest.MonkeyPatch) -> None:
    """Live messages are shown while the log is being read."""
    add = Hold.add
    shown: list[Follower] = []

    def receive(self: Follower, *message: Any) -> None:
        shown.append(self)
        received(self, *message)
        shown.pop()

    def added(self: Hold, message: Stored) -> None:
        follower = shown[-1] if shown else None
        if follower is None or not follower.is_live or not follower.take(message):
            add(self, message)

    received = Follower.receive
    patch.setattr(Follower, "receive", receive)
    patch.setattr(Hold, "add", added)


def lost_hold(patch: pytest.MonkeyPatch) -> None:
    """What came while the log was read is dropped."""
    patch.setattr(Hold, "add", lambda _self, _message: None)


def skipped_finding(patch: pytest.MonkeyPatch) -> None:
    """What an audit finds is not read."""
    patch.setattr(Follower, "found", lambda _self, _looks: None)


def joined_without_tail(patch: pytest.MonkeyPatch) -> None:
    """What was shown while somebody caught up is not given to them."""
    patch.setattr(CatchUp, "remember", lambda *_args: None)


def shown_twice(patch: pytest.MonkeyPatch) -> None:
    """A live message that comes once more is shown once more."""
    judge = Chain.judge

    def judged(self: Chain, message: Stored) -> Verdict:
        verdict = judge(self, message)
        return Verdict.SHOW if verdict is Verdict.OLD else verdict

    patch.setattr(Chain, "judge", judged)


def lacks_nothing(patch: pytest.MonkeyPatch) -> None:
    """A late find is given to nobody."""
    patch.setattr(Reader, "lacks", lambda _self, _message: False)


def lacks_everything(patch: pytest.MonkeyPatch) -> None:
    """A late find is given to everybody."""
    patch.setattr(Reader, "lacks", lambda _self, _message: True)


def position_after(patch: pytest.MonkeyPatch) -> None:
    """A slow reader's position is taken after what it had no room for."""
    write_behind = Reader.write_behind

    def written(self: Reader, data: bytes, before: dict[str, int]) -> None:
        write_behind(self, data, self.topic.positions())

    patch.setattr(Reader, "write_behind", written)


def trusted_replica(patch: pytest.MonkeyPatch) -> None:
    """A replica that says that nothing follows is believed."""
    feed = Lane.feed

    def fed(self: Lane, batch: Batch) -> bool:
        if not feed(self, batch):
            self.ended = True
        return True

    patch.setattr(Lane, "feed", fed)


def shown_late_twice(patch: pytest.MonkeyPatch) -> None:
    """Whoever reads the log is given a late find as well."""

    def show_late(self: Topic, message: Stored, frame: bytes) -> None:
        self.flush()
        for reader in tuple(self.readers):
            reader.send(frame)

    patch.setattr(Topic, "_show_late", show_late)


def hidden_expiry(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks what the limits of a stream have taken."""

    async def kept_from(_self: StreamReader, _stream: str) -> int:
        return 0

    patch.setattr(StreamReader, "kept_from", kept_from)


def silent_reset(patch: pytest.MonkeyPatch) -> None:
    """A new life of a stream is not told."""
    gap = Topic.gap

    def told(self: Topic, before: Any, after: Any, reason: Any) -> None:
        if reason != "reset":
            gap(self, before, after, reason)

    patch.setattr(Topic, "gap", told)


def silence_is_nothing(patch: pytest.MonkeyPatch) -> None:
    """What somebody has not seen of a stream whose leader is silent counts as read."""
    read_behind = chunk.read_behind

    async def read(positions: dict[str, int], topic: Topic, log: Log, *, were_live: bool) -> want.Chunk | None:
        lifted = {
            stream: seq if stream in topic.follower.heard else topic.follower.chains[stream].position
            for stream, seq in positions.items()
        }
        return await read_behind(lifted, topic, log, were_live=were_live)

    patch.setattr(catchup, "read_behind", read)


def judged_in_silence(patch: pytest.MonkeyPatch) -> None:
    """Whoever comes is let in, though only a leader that is silent could tell what their position is worth."""
    patch.setattr(Arrivals, "_must_wait", lambda _self, _since: False)


PLANTED: list[tuple[Plant, str]] = [
    (dropped_heal, "losses"),
    (swapped_flush, "slow"),
    (forgotten_hold, "answers"),
    (lost_hold, "answers"),
    (skipped_finding, "losses"),
    (joined_without_tail, "answers"),
    (shown_twice, "losses"),
    (lacks_nothing, "losses"),
    (lacks_everything, "losses"),
    (position_after, "slow"),
    (trusted_replica, "stale"),
    (shown_late_twice, "losses"),
    (hidden_expiry, "expiry"),
    (silent_reset, "lives"),
    (silence_is_nothing, "leaders"),
    (judged_in_silence, "leaders"),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("plant", "mood"), PLANTED, ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_bug_is_found(plant: Plant, mood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(Broken) as found:
        explore(mood, MOST_EXAMPLES, shrinks=False)
    print(found.value, *found.value.__notes__, sep="\n")
