"""What a piece of work for `mesh bench` is, and the numbers that come of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from mesh_cli.bench.harness import Bench

OURS = "ours"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number of one round.

    Attributes:
        contender: whose it is, such as ``ours`` or ``limit``.
        measure: what it says, such as ``CPU a delivery``; the same words for every contender.
        value: the number.
        unit: such as ``µs``, ``KB``, ``ms``, ``/s``.
    """

    contender: str
    measure: str
    value: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class Target:
    """What ours is to reach in one measure.

    Attributes:
        measure: as in the figures.
        at_most: the most that will do, or
        at_least: the least that will do.
        times_baseline: whether these multiply the baseline's figure, or stand by themselves.
    """

    measure: str
    at_most: float | None = None
    at_least: float | None = None
    times_baseline: bool = False


@dataclass(frozen=True, kw_only=True)
class Work:
    """A piece of work.

    Attributes:
        name: as typed: ``mesh bench fanout``.
        about: one line for the help and for the head of its table.
        contenders: who can do it, in the order in which they are run.
        baseline: the contender that the ratios refer to.
        run: one round; figures of every contender that `Bench.wants`.
        targets: what ours is to reach.
    """

    name: str
    about: str
    contenders: tuple[str, ...]
    baseline: str
    run: Callable[[Bench], Awaitable[list[Figure]]]
    targets: tuple[Target, ...] = field(default=())
