"""What a run comes to: the targets, whether they were reached, and a document that says so."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.chaos.timeline import draw

if TYPE_CHECKING:
    from tests.chaos.checker import Finding
    from tests.chaos.director import Act, Outcome

WRITES_STALL_S, RESUMED_S, RESUMED_P99_S = 10.0, 20.0, 10.0
_SHOWN_FINDINGS = 20
LATEST = "## The latest run"


class Target(NamedTuple):
    """One of the things that have to hold, and what was measured."""

    name: str
    measured: str
    is_reached: bool


def p99(values: list[float]) -> float:
    """What one in a hundred exceeds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else 0.0


def excused(outcome: Outcome) -> Counter[str]:
    """How many numbers each kind of finding has, what was told in good time apart."""
    counts: Counter[str] = Counter()
    for finding in outcome.findings:
        counts["signals told" if is_excused(outcome, finding.subject, finding.kind) else finding.kind] += finding.size
    return counts


def is_excused(outcome: Outcome, subject: str, kind: str) -> bool:
    """Whether it may be: signals may go where it is told, and records where the fault itself takes them away."""
    return kind == "told" and (subject.startswith("agent.") or any(act.may_tell for act in outcome.acts))


def unexcused(outcome: Outcome) -> list[Finding]:
    """What may not be."""
    return [f for f in outcome.findings if not is_excused(outcome, f.subject, f.kind)]


def targets(outcome: Outcome) -> list[Target]:
    """All of them."""
    counts = excused(outcome)
    stall = max([max(act.api_stall, act.write_stall) - act.outage for act in outcome.acts] + [0.0])
    longest = max([max(act.resumed, default=0.0) - act.outage for act in outcome.acts] + [0.0])
    slowest = max([p99(act.resumed) - act.outage for act in outcome.acts] + [0.0])
    asked, steady = outcome.amounts.rate, steady_rate(outcome)
    return [
        Target(f"{asked:,} events a second in quiet moments", f"{steady:,.0f}", steady >= asked),
        Target("acknowledged and lost: 0", f"{counts['lost'] + counts['told']}", not counts["lost"] + counts["told"]),
        Target("doubled: 0", f"{counts['doubled']}", not counts["doubled"]),
        Target("out of order: 0", f"{counts['reordered']}", not counts["reordered"]),
        Target("made up: 0", f"{counts['invented']}", not counts["invented"]),
        Target("writes stalled 10 s at most", f"{stall:.1f} s", stall <= WRITES_STALL_S),
        Target("every client resumed within 20 s", f"{longest:.1f} s", longest <= RESUMED_S),
        Target("99 % of them within 10 s", f"{slowest:.1f} s", slowest <= RESUMED_P99_S),
        Target(
            "everything whole again after each fault",
            f"{sum(act.is_settled for act in outcome.acts)} of {len(outcome.acts)}",
            all(act.is_settled for act in outcome.acts),
        ),
        Target("no call refused for good, none without an end", f"{len(outcome.refused)}", not outcome.refused),
    ]


def is_good(outcome: Outcome) -> bool:
    """Whether every target was reached."""
    return all(target.is_reached for target in targets(outcome))


def document(outcome: Outcome, picture: str) -> str:
    """The report in Markdown; ``picture`` is where the timeline lies beside it."""
    amounts = outcome.amounts
    begun = (
        f"{amounts.clients:,} clients on three edges, for {outcome.seconds:,.0f} s. Seed {outcome.seed}. "
        f"{machine(outcome)}"
    )
    amount = (
        f"{outcome.acked:,} events were acknowledged, {outcome.log:,} records read back from the log, "
        f"{outcome.shown:,} shown to clients."
    )
    lines = [
        begun,
        "",
        amount,
        "",
        f"![What was acknowledged and shown over time, who was away, and when each fault happened.]({picture})",
        "",
        "| target | measured | |",
        "|---|---|---|",
        *(f"| {t.name} | {t.measured} | {'reached' if t.is_reached else '**missed**'} |" for t in targets(outcome)),
        "",
        "| fault | hit | resumed: 99 % | all | without signals | writes stalled | through the API | whole again |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(act) for act in outcome.acts),
    ]
    if outages := [f"{act.name}: {act.outage:.0f} s" for act in outcome.acts if act.outage]:
        lines += ["", f"No server was left for a while, from which on the targets count: {', '.join(outages)}."]
    if told := excused(outcome)["signals told"]:
        lines += ["", f"{told:,} events were lost as far as single clients go, and told to them as a `gap`."]
    if outcome.skipped:
        lines += ["", f"Not possible on this machine: {', '.join(outcome.skipped)}."]
    if bad := unexcused(outcome):
        lines += ["", "What was found:", "", *(f"- {finding}" for finding in bad[:_SHOWN_FINDINGS])]
    return "\n".join(lines) + "\n"


def _row(act: Act) -> str:
    return (
        f"| {act.name} | {act.hits} | {p99(act.resumed):.1f} s | {max(act.resumed, default=0.0):.1f} s "
        f"| {act.without_signals:.1f} s "
        f"| {act.write_stall:.1f} s | {act.api_stall:.1f} s | {act.ended - act.begun:.0f} s |"
    )


def machine(outcome: Outcome) -> str:
    """How busy it was."""
    load = [sample.load for sample in outcome.samples]
    average = sum(load) / max(1, len(load))
    return f"The machine has {os.cpu_count()} cores, and its load was {average:.1f} on average."


def steady_rate(outcome: Outcome) -> float:
    """How many events a second were acknowledged while nothing was wrong: the median of those moments."""
    samples = outcome.samples
    quiet = [
        (now.acked - then.acked) / (now.at - then.at)
        for then, now in pairwise(samples)
        if not any(act.begun - 1 <= now.at <= act.ended + 1 for act in outcome.acts)
    ]
    return sorted(quiet)[len(quiet) // 2] if quiet else 0.0


def publish(outcome: Outcome, page: Path) -> None:
    """Put the report into ``page`` below its last heading, and the picture beside it."""
    picture = page.with_name("chaos.svg")
    picture.write_text(draw(outcome), encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    head = text[: text.index(LATEST)]
    page.write_text(f"{head}{LATEST}\n\n{document(outcome, picture.name)}", encoding="utf-8")


def write(outcome: Outcome, folder: Path, name: str) -> Path:
    """Write report, picture and figures; give the report's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.svg").write_text(draw(outcome), encoding="utf-8")
    figures = dataclasses.asdict(outcome) | {"targets": [target._asdict() for target in targets(outcome)]}
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    report = folder / f"{name}.md"
    report.write_text(f"# Chaos\n\n{document(outcome, f'{name}.svg')}", encoding="utf-8")
    return report
