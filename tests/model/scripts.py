"""Scripts: which steps there are, and moods in which some of them come more often."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from daena_mesh.layout import RECORDS, SIGNALS
from tests.model.world import Setup, Step, run

NOTHING: Step = ("turn", 0)
"""What is left of a step that does not matter for a failure."""

_STREAMS = (RECORDS, SIGNALS)
_RECORDS = ("message", "reply", "update", "elsewhere")
_SIGNALS = ("delta", "typing", "activity")


def _each(what: str, *choices: Sequence[object]) -> list[Step]:
    return [(what, *chosen) for chosen in itertools.product(*choices)]


CALM: list[Step] = [
    *_each("publish", _RECORDS + _SIGNALS, ("now", "later")),
    *_each("publish", ("poison", "poisoned delta", "notice"), ("now", "later")),
    *_each("send", _STREAMS, (1, 2, 100)),
    *_each("join", ("now", "beginning", "middle", "end", "resume", "records only", "history"), (0, 1)),
    *_each("stream", ("now", "beginning", "middle", "resume", "history"), (0, 1)),
    *_each("join_all", ("now", "beginning", "middle", "resume", "history")),
    *_each("unsubscribe", (0, 1)),
    *_each("leave", (0, 1, 2)),
    *[("rest",)] * 6,
    *[("settle",)] * 4,
    *_each("turn", (1, 2, 4)),
    ("advance", 0.5),
]
ANSWERS: list[Step] = [
    *_each("answer", (0, 1, 2), (0,)) * 2,
    *_each("arrive", (0, 1, 2), (None, 1)),
    *_each("turn", (1, 2, 3, 5)),
    *[("settle",)] * 3,
]
STALE: list[Step] = [*_each("answer", (0, 1), (1, 2, 5))]
SILENT: list[Step] = [
    *_each("refuse", (0, 1)),
    *_each("ignore", (0, 1)),
    ("lose_part", 0),
    ("advance_deaf", 0.6),
    ("advance_deaf", 2.5),
]
LOSSES: list[Step] = [
    *_each("publish", ("message", "reply", "update", "delta", "activity"), ("lost",)),
    *_each("lose", _STREAMS),
    *_each("delay", _STREAMS),
    *[("delayed",)] * 2,
    *_each("repeat", (0, 1, 3)),
    *_each("publish", ("message", "reply", "delta"), ("now",)),
]
SLOW: list[Step] = [
    *_each("stall", (0, 1)) * 2,
    *_each("flow", (0, 1)),
    *_each("read", (0, 1), (100, 700, 3_000, None)),
    *_each("publish", ("message", "reply", "delta"), ("now",)) * 3,
    ("flood", 12),
]
CUTS: list[Step] = [("cut",), ("cut",), ("down",), ("up",), ("deaf",), ("hear",), ("advance", 2.5), ("advance", 0.1)]
LIVES: list[Step] = [
    *_each("anew", _STREAMS),
    *_each("join", ("foreign", "ahead", "end", "resume"), (0, 1)),
    ("advance", 2.5),
]
LEADERS: list[Step] = [
    *_each("unled", _STREAMS),
    ("unled", SIGNALS),
    *_each("led", _STREAMS),
    *_each("join", ("beginning", "middle", "end", "ahead", "resume", "history"), (0, 1)),
    *[("advance", 0.6), ("advance", 2.5), ("advance", 5.0)],
]
EXPIRY: list[Step] = [("purge",), ("advance", 6.0), ("advance", 25.0), ("flood", 12), *_each("join", ("middle",), (0,))]

MOODS: dict[str, list[Step]] = {
    "calm": CALM,
    "answers": CALM + ANSWERS * 2 + LOSSES,
    "stale": CALM + ANSWERS + STALE * 3 + LOSSES,
    "silent": CALM + ANSWERS + SILENT * 3 + LOSSES,
    "losses": CALM + LOSSES * 2,
    "slow": CALM + SLOW * 2,
    "slow and lossy": CALM + SLOW * 2 + LOSSES + ANSWERS,
    "cuts": CALM + CUTS * 2 + LOSSES,
    "lives": CALM + LIVES * 3 + CUTS,
    "leaders": CALM + LEADERS * 3 + CUTS + LOSSES,
    "leaders and lives": CALM + LEADERS * 3 + LIVES + CUTS + SLOW,
    "expiry": CALM + EXPIRY * 3 + SLOW,
    "all": CALM + ANSWERS + STALE + SILENT + LOSSES + SLOW + CUTS + LIVES + LEADERS + EXPIRY,
}

SETUPS = [
    Setup(topics=("chat_s1",)),
    Setup(topics=("events",)),
    Setup(topics=("chat_s1", "events"), wires="both"),
    Setup(topics=("chat_s1",), wires="encrypted", most_in_batch=2),
    Setup(topics=("events",), wires="both", most_in_batch=3),
    Setup(topics=("chat_s1",), wires="both", in_cluster=True),
    Setup(topics=("events", "chat_s1"), in_cluster=True, fewest=1),
    Setup(topics=("chat_s1",), wires="both", fewest=1),
    Setup(topics=("chat_s1", "events"), signals_max_age_s=20.0),
    Setup(topics=("events", "chat_s1"), records_max_bytes=8_000, most_in_batch=2),
]


def scripts(mood: str) -> st.SearchStrategy[list[Step]]:
    """Give the scripts of a mood."""
    return st.lists(st.sampled_from([NOTHING, *MOODS[mood]]), min_size=20, max_size=70)


def explore(mood: str, examples: int, *, at_random: bool = False, shrinks: bool = True) -> None:
    """Play scripts of a mood in all kinds of worlds; raises `Broken`, with the shortest script that it found.

    The same scripts each time, unless ``at_random``.
    """

    @settings(
        max_examples=examples,
        derandomize=not at_random,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(setup=st.sampled_from(SETUPS), script=scripts(mood))
    def play(setup: Setup, script: list[Step]) -> None:
        run(setup, script)

    play()
