"""Audits: finding what was lost where no later message reveals it, for thousands of topics at the price of a few.

One look at where the streams stand tells whether anything was stored since all was verified. Where something was, the
newest message on each subject is asked for, of hundreds of topics at a time, and held against what was seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from daena_mesh.chain import Chain
from daena_mesh.errors import MeshUnavailable
from daena_mesh.reader import StreamReader
from daena_mesh.shared_run import SharedRun
from daena_mesh.stored import Stored
from daena_mesh.subject_table import SubjectTable

MOST_PATTERNS = 512
"""In one question; a pattern may have several subjects, and 1,024 of them may be answered."""

_IN_FLIGHT_S = 0.02
_STALE_S = 0.02
_STALE_TRIES = 50


class Look(NamedTuple):
    """What an audit found out about one stream of one who follows it. It counts while `Chain.verified` is ``was``."""

    was: int
    lost: int | None
    """Behind this sequence something is there that was not seen, unless None."""
    reach: int
    """The newest message that is known to be there, if something was not seen; else up to where all was verified."""


Looks = Mapping[str, Look]
"""By the name of the stream; one of which nothing is unverified is left out."""


class Audited(Protocol):
    """Who follows patterns, and knows what it has seen."""

    filters: dict[str, tuple[str, ...]]
    chains: dict[str, Chain]

    @property
    def is_healing(self) -> bool:
        """Whether live messages wait, unseen, until the log has been read."""

    def found(self, looks: Looks) -> None:
        """Take what an audit found out."""


class Findings(NamedTuple):
    """What was found out about many."""

    stands: Mapping[str, int]
    """The last sequence of each stream, as its leader told."""
    looks: Mapping[Audited, Looks]


class Audits:
    """Everybody's audits through one connection."""

    def __init__(self, log: StreamReader, stand: SharedRun[dict[str, int]]) -> None:
        """``stand`` asks the leaders for the last sequence of each stream."""
        self._log = log
        self._stand = stand
        self._asking: dict[Audited, None] = {}
        self._shared = SharedRun(self._look_at_asking)

    async def audit(self, everyone: Sequence[Audited]) -> None:
        """Have all who do not heal right now learn of what they lost. Raises `MeshUnavailable`."""
        found = await self._look([who for who in everyone if not who.is_healing])
        for who, looks in found.looks.items():
            who.found(looks)

    async def ask(self, who: Audited) -> tuple[Mapping[str, int], Looks]:
        """Where the streams stand, and what ``who`` lost, found out together with all who ask at the same time.

        Raises `MeshUnavailable`.
        """
        self._asking[who] = None
        found = await self._shared.ask()
        return found.stands, found.looks.get(who, {})

    async def _look_at_asking(self) -> Findings:
        everyone, self._asking = tuple(self._asking), {}
        return await self._look(everyone)

    async def _look(self, everyone: Sequence[Audited]) -> Findings:
        stands = await self._stand.ask()
        findings: dict[Audited, dict[str, Look]] = {}
        doubts: list[_Doubt] = []
        for stream, stand in stands.items():
            whole, narrow = _unverified(stream, stand, everyone)
            doubts += (_Doubt(who, stream, who.chains[stream].verified, stand, None) for who in whole)
            for who, was, unseen in await self._compare_all(stream, stand, narrow):
                if unseen:
                    doubts.append(_Doubt(who, stream, was, stand, unseen))
                else:
                    findings.setdefault(who, {})[stream] = Look(was, None, stand)
        if any(not doubt.who.is_healing for doubt in doubts):
            # What is in the log already may be on its way here.
            await self._log.connection.flush()
            await asyncio.sleep(_IN_FLIGHT_S)
        for doubt in doubts:
            findings.setdefault(doubt.who, {})[doubt.stream] = doubt.settle()
        return Findings(stands, findings)

    async def _compare_all(self, stream: str, stand: int, everyone: Sequence[Audited]) -> list[_Compared]:
        compared: list[_Compared] = []
        for part in _parts(stream, everyone):
            compared += await self._compare(stream, stand, part)
        return compared

    async def _compare(self, stream: str, stand: int, part: Sequence[Audited]) -> list[_Compared]:
        """Hold what ``part`` has seen against the newest message of each subject, up to ``stand`` at least."""
        were = [who.chains[stream].verified for who in part]
        table = await self._newest(stream, stand, part, min(were))
        if table is None and len(part) > 1:
            half = len(part) // 2
            return [
                *await self._compare(stream, stand, part[:half]),
                *await self._compare(stream, stand, part[half:]),
            ]
        if table is None:
            return await self._compare_head(stream, part[0])
        compared = []
        for who, was in zip(part, were, strict=True):
            chain = who.chains[stream]
            rows = (row for pattern in who.filters[stream] for row in table.rows(pattern).values())
            compared.append(_Compared(who, was, [row[-1] for row in rows if chain.missed(row[-1])]))
        return compared

    async def _compare_head(self, stream: str, who: Audited) -> list[_Compared]:
        """One with too many subjects: a head that was not seen is all that can be told, and nothing is verified."""
        patterns, chain = who.filters[stream], who.chains[stream]
        was = chain.verified
        newest = await asyncio.gather(*(self._log.last(stream, pattern) for pattern in patterns))
        unseen = [message for message in newest if message is not None and message.seq > chain.seen]
        return [_Compared(who, was, unseen)] if unseen else []

    async def _newest(self, stream: str, stand: int, part: Sequence[Audited], after: int) -> SubjectTable | None:
        """The newest message of each subject of ``part`` behind ``after``; None where there are too many subjects."""
        patterns = list(dict.fromkeys(pattern for who in part for pattern in who.filters[stream]))
        table = SubjectTable()
        for _ in range(_STALE_TRIES):
            answer = await self._log.lasts(stream, patterns, after)
            if answer is None or not answer.stand:
                return None
            if answer.stand < stand:  # a stale replica
                await asyncio.sleep(_STALE_S)
                continue
            for message in answer.messages:
                table.add(message)
            if not answer.pending or not answer.messages:
                return table
            after = answer.messages[-1].seq
        raise MeshUnavailable(f"no replica of stream {stream} comes up to its leader")


class _Compared(NamedTuple):
    who: Audited
    was: int
    unseen: list[Stored]


class _Doubt(NamedTuple):
    """Something is there that was not seen when the log answered."""

    who: Audited
    stream: str
    was: int
    stand: int
    unseen: list[Stored] | None
    """None where every message of the stream is followed: up to where it stands."""

    def settle(self) -> Look:
        """What is left of it when nothing can be in flight any more."""
        chain = self.who.chains[self.stream]
        if self.unseen is None:
            return Look(self.was, chain.seen if chain.seen < self.stand else None, self.stand)
        if (lost := chain.lost(self.unseen)) is None:
            return Look(self.was, None, self.stand)
        return Look(self.was, lost, max(message.seq for message in self.unseen))


def _unverified(stream: str, stand: int, everyone: Sequence[Audited]) -> tuple[list[Audited], list[Audited]]:
    """Those of whom something up to ``stand`` is not known to be seen: who follows all of it, and the others.

    The latter in the order of what is verified of them, so that those who are asked for together are alike.
    """
    whole, narrow = [], []
    for who in everyone:
        if (chain := who.chains.get(stream)) is None:
            continue
        if chain.whole:
            if chain.seen < stand:
                whole.append(who)
        elif chain.verified < stand:
            narrow.append(who)
    narrow.sort(key=lambda who: who.chains[stream].verified)
    return whole, narrow


def _parts(stream: str, everyone: Sequence[Audited]) -> list[list[Audited]]:
    """Parts of ``everyone`` that have no more patterns than one question may."""
    parts: list[list[Audited]] = []
    room = 0
    for who in everyone:
        count = len(who.filters[stream])
        if count > room:
            parts.append([])
            room = MOST_PATTERNS
        parts[-1].append(who)
        room -= count
    return parts
