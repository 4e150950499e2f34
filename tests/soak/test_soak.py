"""The short form of `make soak`, and that it finds what leaks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.soak.__main__ import write
from tests.soak.soaking import Amounts, Outcome, soak
from tests.soak.watch import Held, Sample
from tests.support.deadlines import within

# In two minutes nothing is as settled as after three: a twentieth is what warming up still takes at this size.
SHORT = Amounts(seconds=100, settled=50, window=20, most=0.05, clients=200, churn=10, rate=15)


def outcome_of(memory: list[int], before: Held, after: Held, consumers: tuple[int, int] = (5, 5)) -> Outcome:
    """A soak of one service with this memory, looked at every ten seconds."""
    return Outcome(
        amounts=Amounts(seconds=100, settled=50, window=20, most=0.02),
        names=["edge"],
        samples=[Sample(10.0 * turn, (private,)) for turn, private in enumerate(memory)],
        before=[before],
        after=[after],
        consumers=consumers,
        came=0,
        shown=0,
        refused=0,
        closed=Counter(),
        done=Counter(),
        machine_load=1.0,
        cores=2,
    )


HELD = Held(descriptors=16, tasks=15, subscriptions=10)
STEADY = [500, 900, 1_000, 990, 1_010, 1_000, 1_000, 1_000, 1_000, 1_010, 1_015]


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        (outcome_of([*STEADY[:6], *range(1_000, 1_100, 20)], HELD, HELD), "edge grew by"),
        (outcome_of(STEADY, HELD, HELD._replace(descriptors=17)), "17 descriptors"),
        (outcome_of(STEADY, HELD, HELD._replace(tasks=16)), "16 tasks"),
        (outcome_of(STEADY, HELD, HELD._replace(subscriptions=11)), "11 subscriptions"),
        (outcome_of(STEADY, HELD, HELD, (5, 6)), "there were 5 consumers, and are 6"),
    ],
)
def test_what_leaks_is_found(outcome: Outcome, failure: str) -> None:
    assert len(outcome.failures) == 1
    assert failure in outcome.failures[0]


def test_what_was_given_back_is_no_failure() -> None:
    assert outcome_of(STEADY, HELD, Held(16, 14, 9), (5, 4)).failures == []


@pytest.mark.timeout(400)
async def test_nothing_grows_and_everything_is_given_back(tmp_path: Path) -> None:
    async with within(360):
        outcome = await soak(tmp_path, SHORT, print)
    print(write(outcome, tmp_path / "report").read_text(encoding="utf-8"))
    assert outcome.failures == []
    assert outcome.came > SHORT.clients * 1.5
    assert outcome.shown > 1_000
    done = outcome.done
    for kind in ("messages of programs", "messages by REST", "answers", "tasks", "streams of text"):
        assert done[kind] > 5, done
    failed = sum(count for kind, count in done.items() if "failed" in kind)
    assert failed <= sum(done.values()) / 20, done
