"""What the nats-server refused, as its log tells it: NATS itself publishes no word of a permission that is missing.

Pure but for `Tail`, which reads the file.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from daena_mesh.metrics import Metric, by

KINDS = ("publish", "subscribe", "connect")
UNKNOWN = "unknown"
"""The name of whose key nobody knows, or who showed none."""

_MOST_READ_BYTES = 1 << 20
_MOST_SUBJECT = 200
_KIND = {"Publish": "publish", "Subscription": "subscribe"}
# Names of clients and subjects are quoted as in Go, so none can look like the end of its own quotation.
_read = re.compile(
    r'\[\d+\] [\d/]+ [\d:.]+ \[ERR\] [^" ]+ - cid:\d+ -(?:'
    r' "(?:[^"\\]|\\.)*" - "(?:[^"\\]|\\.)*/jwt:(?P<key>U[A-Z2-7]+)"'
    r' - (?P<what>Publish|Subscription) Violation - Subject "(?P<subject>(?:[^"\\]|\\.)*)"'
    r"|(?: \"(?:[^\"\\]|\\.)*\" -)* (?P<nobody>authentication error)\b)"
).match


class Denial(NamedTuple):
    """Something that was refused: to whom, what, and on which subject, if it has one."""

    user: str
    kind: str
    subject: str


def denial_in(line: str, names: Mapping[str, str]) -> Denial | None:
    """What a line of the server's log refuses; ``names`` are those of users by their public keys."""
    found = _read(line)
    if found is None:
        return None
    if found["nobody"]:
        return Denial(UNKNOWN, "connect", "")
    return Denial(names.get(found["key"], UNKNOWN), _KIND[found["what"]], found["subject"][:_MOST_SUBJECT])


class Denials:
    """How much was refused since this process began, and what of it nobody was told of yet."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self._untold: Counter[tuple[str, str]] = Counter()
        self._newest: dict[tuple[str, str], str] = {}

    def note(self, denials: Iterable[Denial]) -> None:
        """Count them."""
        for denial in denials:
            whose = (denial.user, denial.kind)
            self.total[denial.kind] += 1
            self._untold[whose] += 1
            self._newest[whose] = denial.subject

    def take(self, most: int) -> list[tuple[Denial, int]]:
        """What nobody was told of: one of its kind for each user, with how many there were; ``most`` of them."""
        chosen = self._untold.most_common(most)
        for whose, _ in chosen:
            del self._untold[whose]
        return [(Denial(*whose, self._newest.pop(whose)), count) for whose, count in chosen]

    def metric(self) -> Metric:
        """The counts."""
        about = "What the nats-server refused, by what was tried; at least so often, where it is very often."
        return by("kind", "mesh_nats_denied_total", "counter", about, self.total)


class Tail:
    """The lines that come to a log, also after it was put away and begun anew."""

    def __init__(self, path: Path) -> None:
        """From its present end on."""
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        if (file := self._opened()) is not None:
            file.seek(0, os.SEEK_END)

    def read(self) -> list[str]:
        """The lines since the last time; of very many the newest."""
        lines = self._new()
        if self._file is not None and self._was_put_away():
            self._file.close()
            self._file, self._rest = None, b""
            lines += self._new()
        return lines

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def _new(self) -> list[str]:
        if (file := self._file or self._opened()) is None:
            return []
        behind = os.fstat(file.fileno()).st_size - file.tell()
        if behind > _MOST_READ_BYTES:
            file.seek(-_MOST_READ_BYTES, os.SEEK_END)
            self._rest = b""
        *whole, self._rest = (self._rest + file.read(_MOST_READ_BYTES)).split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]

    def _opened(self) -> BinaryIO | None:
        try:
            self._file = self._path.open("rb")
        except OSError:
            self._file = None
        return self._file

    def _was_put_away(self) -> bool:
        if self._file is None:
            return False
        try:
            return self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except OSError:
            return False  # between two of them: the next time
