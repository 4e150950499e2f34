"""Who is on a topic, as decisions: rosters, and what to tell when one changes. Without I/O; see `rosters` for that.

Each edge keeps one roster for each topic: the names of the users that it has there. A user who is in some roster is
present. Each stay has a *life*, an id that all rosters of that user share: an edge where a user comes who is present
already takes the life over. So what there is to tell of a stay has the same id whoever tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from daena_mesh.ids import derived_id

Roster = dict[str, str]
"""For each user the life of their stay, a UUID of version 7: it says since when."""


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One thing to tell. Thousands are made at once, of strings alone: the garbage collector need not look at them."""

    event_type: str
    who: str
    life: str
    present: int
    """How many users are on the topic after it."""

    def event_id(self, topic: str) -> str:
        """The same for everybody who tells it."""
        return derived_id(self.event_type, topic, self.who, self.life)


class Change(NamedTuple):
    """What an edge writes for a topic, and what there is to tell once it is written."""

    roster: Roster
    steps: tuple[Step, ...]


class Noted(msgspec.Struct, frozen=True):
    """What an edge writes for a topic."""

    here: Roster
    last: tuple[Step, ...] = ()
    """What there was to tell when this was written: whether it was told, only that edge knows."""


_decode = msgspec.json.Decoder(Noted).decode


def read_noted(body: bytes) -> Noted:
    """What an edge wrote; what cannot be read is nothing."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Noted({})


def untold(theirs: Iterable[Step], steps: Iterable[Step]) -> tuple[Step, ...]:
    """What others may not have told yet, and has to be told before ``steps`` since it is about the same users."""
    about = {step.who for step in steps}
    return tuple(step for step in theirs if step.who in about)


def union(rosters: Iterable[Mapping[str, str]]) -> Roster:
    """Who is present at all; of two lives of a user the older one counts."""
    everybody: Roster = {}
    for roster in rosters:
        if not everybody:
            everybody = dict(roster)  # a loop takes many times as long, and an edge that is alone needs none
            continue
        for who, life in roster.items():
            if who not in everybody or life < everybody[who]:
                everybody[who] = life
    return everybody


def settle(
    others: Iterable[Mapping[str, str]],
    was: Mapping[str, str],
    here: Collection[str],
    known: Mapping[str, str],
    new_lives: Callable[[int], Iterable[str]],
) -> Change:
    """What follows from who is here now.

    Args:
        others: the rosters of the other edges.
        was: the roster of this edge, as it stands in the log.
        here: the users that this edge has on the topic now.
        known: what this edge has told before; it differs from ``was`` after the rosters were lost.
        new_lives: makes the ids of so many stays that begin.
    """
    elsewhere = union(others)
    before = union((elsewhere, was)) if elsewhere else was
    mine = {who: before.get(who) or known.get(who, "") for who in here}
    fresh = [who for who, life in mine.items() if not life]
    mine.update(zip(fresh, new_lives(len(fresh)), strict=True))
    after = union((elsewhere, mine)) if elsewhere else mine
    left = [who for who in before if who not in after]
    joined = [who for who in fresh if who not in before and who not in known]
    count = len(after) - len(joined) + len(left)
    steps = []
    for who in left:
        count -= 1
        steps.append(Step("presence.leave", who, before[who], count))
    for who in joined:
        count += 1
        steps.append(Step("presence.join", who, after[who], count))
    return Change(mine, tuple(steps))


def since_of(life: str) -> str | None:
    """When a stay began (RFC 3339, UTC), as its UUID of version 7 says; None for what is none."""
    try:
        milliseconds = int(life.replace("-", "")[:12], 16)
        at = datetime.fromtimestamp(milliseconds / 1_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Watch:
    """Finds out which edges are dead: those whose lease was not renewed while one looked on for long enough.

    Only one's own clock counts, and only the time in which one could see: whoever just came, or just got NATS back,
    looks on for the whole time first.
    """

    def __init__(self, dead_after_s: float) -> None:
        self._dead_after_s = dead_after_s
        self._seen: dict[str, tuple[int, float]] = {}

    def blind(self) -> None:
        """Nothing can be seen at the moment."""
        self._seen.clear()

    def dead(self, leases: Mapping[str, int], at: float) -> list[str]:
        """Of ``leases`` (the sequence of each edge's last renewal), those that stand still, at ``at`` seconds."""
        self._seen = {
            edge: self._seen[edge] if edge in self._seen and self._seen[edge][0] == seq else (seq, at)
            for edge, seq in leases.items()
        }
        return [edge for edge, (_, since) in self._seen.items() if at - since >= self._dead_after_s]
