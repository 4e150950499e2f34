"""The load generator, `bench/load.c`: thousands of sockets, every frame counted, order and completeness checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mesh_cli.bench.child import Child
from mesh_cli.bench.machine import CannotBench

MOST_UNFINISHED = 64
_POLL_S = 0.02
_NO_PROGRESS_S = 15.0
_OPENED_WITHIN_S = 120.0


class Opened(msgspec.Struct):
    """What came of opening sockets."""

    joined: int
    refused: int
    reason: str
    seconds: float


class Report(msgspec.Struct):
    """What came since the mark, see `bench/load.c`."""

    sockets: int
    events: int
    bytes: int
    others: int
    broken: int
    repeated: int
    reordered: int
    missing: int
    closed: int
    first_least: int
    first_most: int
    last_least: int
    last_most: int
    p50_us: int
    p99_us: int
    slowest_us: int
    seconds: float
    cpu_seconds: float

    def faults(self, last: int) -> str:
        """Say what is wrong, where each socket had to see 1 to ``last``, once, in order; empty where nothing is."""
        counted = {
            "frames broken": self.broken,
            "events repeated": self.repeated,
            "out of order": self.reordered,
            "missing": self.missing,
            "sockets lost": self.closed,
        }
        found = [f"{count} {what}" for what, count in counted.items() if count]
        if (self.first_least, self.first_most) != (1, 1):
            found.append(f"sockets began with event {self.first_least} to {self.first_most}, not 1")
        if (self.last_least, self.last_most) != (last, last):
            found.append(f"sockets ended with event {self.last_least} to {self.last_most}, not {last}")
        return ", ".join(found)


class _Closed(msgspec.Struct):
    closed: int


class Guest(msgspec.Struct, frozen=True):
    """One socket to open."""

    path: str
    protocol: str = "-"
    subject: str = "-"


class Load:
    """A running load generator."""

    def __init__(self, child: Child, file: Path) -> None:
        self.child = child
        self._file = file

    async def open(self, guests: Iterable[Guest], *, rate: float, most_unfinished: int = MOST_UNFINISHED) -> Opened:
        """Open a socket for each guest, at most ``rate`` a second; raises `CannotBench` where one is refused."""
        lines = [f"{guest.path}\t{guest.protocol}\t{guest.subject}\n" for guest in guests]
        self._file.write_text("".join(lines), encoding="ascii")
        self.child.say(f"open {self._file} {rate} {most_unfinished}")
        opened = await self.child.answer(Opened, within_s=_OPENED_WITHIN_S)
        if opened.refused:
            raise CannotBench(f"{opened.refused} of {len(lines)} sockets were refused: {opened.reason}")
        return opened

    async def mark(self) -> None:
        """Count anew, from before this returns."""
        self.child.say("mark")
        await self.report()  # or an event may be quicker than the mark where the machine is busy

    async def report(self) -> Report:
        """Tell what came since the mark."""
        self.child.say("report")
        return await self.child.answer(Report)

    async def until(self, events: int) -> Report:
        """Return when so many events have come since the mark, or when nothing comes any more."""
        last, changed_at = -1, time.monotonic()
        while True:
            report = await self.report()
            if report.events >= events:
                return report
            if report.events != last:
                last, changed_at = report.events, time.monotonic()
            elif time.monotonic() - changed_at > _NO_PROGRESS_S:
                return report
            await asyncio.sleep(_POLL_S)

    async def close(self) -> None:
        """Close all sockets."""
        self.child.say("close")
        await self.child.answer(_Closed)
