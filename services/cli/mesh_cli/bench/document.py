"""The figures in docs/performance.md: the newest of bench/results/, as a table.

::

    python -m mesh_cli.bench.document docs/performance.md bench/results
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from mesh_cli.bench.machine import CannotBench
from mesh_cli.bench.outcome import Outcome
from mesh_cli.bench.table import for_document

BEGIN = "<!-- The figures begin here; `make docs` writes them. -->\n"
END = "<!-- The figures end here. -->\n"


def newest(folder: Path) -> Path:
    """Find the outcome whose name comes last: names begin with a date."""
    found = sorted(folder.glob("*.json"))
    if not found:
        raise CannotBench(f"there are no results in {folder}: mesh bench --rounds 3 --json {folder}/<date>.json")
    return found[-1]


def with_figures(text: str, result: Path) -> str:
    """Put the figures of a result between the marks in a document, in place of those that are there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise CannotBench("the document has no marks between which the figures go")
    outcome = msgspec.json.decode(result.read_bytes(), type=Outcome)
    return f"{before}{BEGIN}\n{for_document(outcome)}\nAll of it is in `bench/results/{result.name}`.\n\n{END}{after}"


def main() -> None:
    """Write the figures into the document."""
    path, folder = map(Path, sys.argv[1:])
    path.write_text(with_figures(path.read_text(encoding="utf-8"), newest(folder)), encoding="utf-8")


if __name__ == "__main__":
    main()
