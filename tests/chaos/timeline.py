"""The picture of a run: what was acknowledged and shown, who was away, and when faults happened. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.chaos.director import Act, Outcome, Sample

WIDTH, LEFT, RIGHT, TOP, PLOT, SPACE = 1100, 70, 15, 150, 110, 34


class Line(NamedTuple):
    """One plot: its title, its unit, and its values by time."""

    title: str
    points: Sequence[tuple[float, float]]


def rates(samples: Sequence[Sample], of: Callable[[Sample], int]) -> list[tuple[float, float]]:
    """What grew, as an amount a second."""
    return [(now.at, (of(now) - of(then)) / (now.at - then.at)) for then, now in pairwise(samples) if now.at > then.at]


def draw(outcome: Outcome) -> str:
    """An SVG."""
    samples = outcome.samples
    lines = [
        Line("acknowledged, events/s", rates(samples, lambda sample: sample.acked)),
        Line("shown, events/s", rates(samples, lambda sample: sample.shown)),
        Line("clients that are away", [(sample.at, float(sample.away)) for sample in samples]),
        Line("longest lack of an acknowledged record, s", [(sample.at, sample.stalest) for sample in samples]),
    ]
    end = max([sample.at for sample in samples] + [act.ended for act in outcome.acts] + [1.0])
    height = TOP + len(lines) * (PLOT + SPACE)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        "<style>text{font:11px sans-serif}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *(_band(act, end, height) for act in outcome.acts),
        *(_plot(line, end, TOP + number * (PLOT + SPACE)) for number, line in enumerate(lines)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(at: float, end: float) -> float:
    return LEFT + at / end * (WIDTH - LEFT - RIGHT)


def _band(act: Act, end: float, height: int) -> str:
    begun, lifted, ended = (_x(at, end) for at in (act.begun, act.lifted, act.ended))
    bottom = height - SPACE
    return (
        f'<rect x="{begun:.1f}" y="{TOP - 8}" width="{max(1.0, lifted - begun):.1f}" height="{bottom - TOP + 8}" '
        f'fill="#f4c7c3"/>'
        f'<rect x="{lifted:.1f}" y="{TOP - 8}" width="{max(0.0, ended - lifted):.1f}" height="{bottom - TOP + 8}" '
        f'fill="#fdecd2"/>'
        f'<text transform="translate({begun + 4:.1f},{TOP - 12}) rotate(-50)" fill="#333">{escape(act.name)}</text>'
    )


def _plot(line: Line, end: float, top: float) -> str:
    most = max([value for _, value in line.points] + [1.0])
    bottom = top + PLOT
    points = " ".join(f"{_x(at, end):.1f},{bottom - value / most * PLOT:.1f}" for at, value in line.points)
    seconds = "".join(
        f'<text x="{_x(at, end):.1f}" y="{bottom + 13}" text-anchor="middle" fill="#777">{at:.0f} s</text>'
        for at in _ticks(end)
    )
    return (
        f'<path d="M{LEFT},{top}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="#999"/>'
        f'<polyline points="{points}" fill="none" stroke="#1a56b0" stroke-width="1.3"/>'
        f'<text x="{LEFT - 6}" y="{top + 8}" text-anchor="end" fill="#333">{most:,.3g}</text>'
        f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end" fill="#333">0</text>'
        f'<text x="{LEFT + 6}" y="{top + 10}" fill="#1a56b0">{escape(line.title)}</text>{seconds}'
    )


def _ticks(end: float) -> list[float]:
    step = next((step for step in (5, 10, 30, 60, 120, 300, 600) if end / step <= 12), 1800)
    return [float(at) for at in range(0, int(end) + 1, step)]
