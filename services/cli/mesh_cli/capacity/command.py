"""`mesh plan`: works a plan out, and shows it."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from rich.console import Console

from mesh_cli.bench.machine import CannotBench
from mesh_cli.bench.outcome import Outcome
from mesh_cli.capacity.costs import fitted
from mesh_cli.capacity.kept import FROM, KEPT
from mesh_cli.capacity.sizing import Sizing, Want
from mesh_cli.capacity.telling import as_object, as_tables, of_trials
from mesh_cli.capacity.trial import trials


def plan(want: Want, *, bench: Path | None, as_json: bool) -> int:
    """Show what is needed for ``want``, at the costs of an outcome of `mesh bench`, or those that are kept.

    Raises:
        CannotBench: there is no such outcome, it is not whole, or nobody can be read by so many sockets.
    """
    if want.readers > want.sockets:
        raise CannotBench(f"--readers: an event cannot have more than the {want.sockets:,} sockets")
    if bench is None:
        costs, source = KEPT, FROM
    else:
        outcome = read(bench)
        costs, source = fitted(outcome), outcome.date
    sizing = Sizing(want, costs)
    if as_json:
        sys.stdout.write(msgspec.json.encode(as_object(sizing, source)).decode() + "\n")
    else:
        Console().print(as_tables(sizing, source))
    return 0


def compare(bench: Path) -> int:
    """Show what the simulations say beside what was measured; 1 where one is further off than it may be."""
    found = trials(read(bench))
    Console().print(of_trials(found))
    return 0 if all(trial.holds for trial in found) else 1


def read(path: Path) -> Outcome:
    """Read what ``mesh bench --json`` kept. Raises `CannotBench`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Outcome)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CannotBench(f"{path} is no outcome of mesh bench --json: {error}") from error
