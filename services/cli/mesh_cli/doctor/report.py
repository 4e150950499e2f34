"""Findings as lines of a terminal, as plain lines, or as JSON."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.text import Text

from mesh_cli.doctor.finding import Finding, Level, exit_code
from mesh_cli.rendering import printable

_STYLES: dict[Level, str] = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def as_json(findings: Sequence[Finding]) -> str:
    """One object, for programs."""
    document = {"healthy": exit_code(findings) == 0, "findings": findings}
    return msgspec.json.format(msgspec.json.encode(document)).decode()


def lines(findings: Sequence[Finding]) -> list[Text]:
    """A line for each, one more for how to mend it, and a last one that counts."""
    shown = []
    for finding in findings:
        style = _STYLES[finding.level]
        check, seen = printable(finding.check), printable(finding.seen)
        shown.append(Text.assemble((f"{finding.level:<8} ", style), (f"{check}: ", "bold"), seen))
        if finding.mend:
            shown.append(Text(f"         -> {printable(finding.mend)}"))
    counts = Counter(finding.level for finding in findings)
    total = ", ".join(f"{counts[level]} {word}" for level, word in _WORDS.items())
    return [*shown, Text(total, "bold")]


_WORDS: dict[Level, str] = {"ok": "fine", "warning": "to look at", "problem": "to mend"}


def tell(findings: Sequence[Finding], *, in_json: bool) -> None:
    """Write them to standard output; without colours where that is no terminal."""
    if in_json:
        sys.stdout.write(as_json(findings) + "\n")
        return
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    for line in lines(findings):
        console.print(line)
