"""A soak as a document and a picture. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.soak.soaking import Outcome

LATEST = "## The latest run"
_MIB = 1_048_576
_WIDTH, _HEIGHT, _LEFT, _ROOM = 900, 240, 60, 24
_COLOURS = ("#1a56b0", "#b0561a", "#3a7d44")


def document(outcome: Outcome, picture: str) -> str:
    """The report in Markdown; ``picture`` is where it lies beside it."""
    amounts = outcome.amounts
    failures = outcome.failures
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(outcome.done.items()))
    who = (
        f"{amounts.clients:,} clients for {amounts.seconds / 60:,.0f} minutes, of whom {amounts.churn:g} a second were "
        f"cut off, began anew, or stopped reading for a while. They came {outcome.came:,} times, were refused "
        f"{outcome.refused:,} times, and were shown {outcome.shown:,} events."
    )
    what = (
        f"Published and asked: {kinds}. The machine has {outcome.cores} cores, which others used too: at the end "
        f"{outcome.machine_load:.0f} processes wanted to run."
    )
    lines = [
        who,
        "",
        what,
        "",
        f"![Private memory of each service over time.]({picture})",
        "",
        f"| | memory at {amounts.settled:.0f} s | at the end | grew by | before | after |",
        "|---|---|---|---|---|---|",
    ]
    for number, name in enumerate(outcome.names):
        first, last = outcome.ends(number)
        lines.append(
            f"| {name} | {first / _MIB:.1f} MiB | {last / _MIB:.1f} MiB | {last / first - 1:.1%} "
            f"| {outcome.before[number]} | {outcome.after[number]} |"
        )
    before, after = outcome.consumers
    lines += ["", f"Consumers of all streams: {before} before, {after} after.", ""]
    lines += [f"- **{failure}**" for failure in failures] or ["Everything is as it has to be."]
    return "\n".join(lines) + "\n"


def draw(outcome: Outcome) -> str:
    """An SVG: memory over time."""
    samples = outcome.samples
    end = samples[-1].at or 1.0
    most = max(max(sample.private) for sample in samples)
    bottom = _HEIGHT - _ROOM
    settled = _LEFT + min(1.0, outcome.amounts.settled / end) * (_WIDTH - _LEFT - 10)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        f'<style>text{{font:11px sans-serif}}</style><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<path d="M{_LEFT},{_ROOM}V{bottom}H{_WIDTH - 10}" fill="none" stroke="#999"/>',
        f'<path d="M{settled:.1f},{_ROOM}V{bottom}" stroke="#ccc" stroke-dasharray="4"/>',
        f'<text x="{_LEFT - 6}" y="{_ROOM + 4}" text-anchor="end">{most / _MIB:.0f} MiB</text>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{_WIDTH - 10}" y="{_HEIGHT - 8}" text-anchor="end">{end:.0f} s</text>',
    ]
    for number, name in enumerate(outcome.names):
        points = " ".join(
            f"{_LEFT + sample.at / end * (_WIDTH - _LEFT - 10):.1f},"
            f"{bottom - sample.private[number] / most * (bottom - _ROOM):.1f}"
            for sample in samples
        )
        colour = _COLOURS[number % len(_COLOURS)]
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"/>',
            f'<text x="{_LEFT + 8 + 60 * number}" y="14" fill="{colour}">{name}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
