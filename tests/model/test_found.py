"""Scripts that broke a promise once, as short as they could be made."""

from __future__ import annotations

import pytest

from tests.model.world import Setup, Step, World, run

CHAT, EVENTS = Setup(topics=("chat_s1",)), Setup(topics=("events",))
BY_TWO = Setup(topics=("chat_s1",), wires="encrypted", most_in_batch=2)

FOUND: dict[str, tuple[Setup, list[Step]]] = {
    "a notice that comes before the epochs are known leaves cursors alone": (
        CHAT,
        [("join", "end"), ("hear",), ("publish", "notice", "now"), ("publish", "delta", "lost")],
    ),
    "what was held over another connection is of another life": (
        BY_TWO,
        [
            *[("publish", "update"), ("join", "resume"), ("join", "records only"), ("send", "RECORDS", 100)],
            *[("anew", "RECORDS")],
        ],
    ),
    "what was read over another connection is of another life": (
        CHAT,
        [
            *[("join", "records only"), ("rest",), ("publish", "reply", "now"), ("join", "records only")],
            *[("anew", "RECORDS"), ("advance_deaf", 2.5), ("publish", "update", "lost")],
        ],
    ),
    "a find behind poison is not shown again to who read it from the log": (
        BY_TWO,
        [
            *[("join", "records only"), ("rest",), ("publish", "reply", "lost"), ("publish", "poison", "now")],
            *[("join", "resume"), ("publish", "typing", "now")],
        ],
    ),
    "a late find is given to who joins with a piece of the log from before it": (
        CHAT,
        [
            *[("join", "beginning"), ("rest",), ("publish", "message", "lost"), ("publish", "update", "now")],
            *[("publish", "message", "now"), ("join", "beginning")],
        ],
    ),
    "who comes from behind poison is shown nothing from before it": (
        Setup(topics=("chat_s1",), in_cluster=True),
        [
            *[("join", "beginning"), ("rest",), ("publish", "reply", "lost"), ("publish", "poison", "now")],
            *[("join", "end")],
        ],
    ),
    "who waits is owed what comes meanwhile on a stream that it does not name": (
        CHAT,
        [
            *[("join", "foreign"), ("rest",), ("join", "ahead"), ("repeat", 3), ("deaf",), ("publish", "typing")],
        ],
    ),
    "who was left without recovered in a healing is told when it has come to the head": (
        BY_TWO,
        [
            *[("publish", "delta", "now"), ("publish", "typing", "now"), ("publish", "reply", "now")],
            *[("join", "resume"), ("publish", "delta", "now"), ("publish", "message", "now"), ("publish", "poison")],
            *[("publish", "reply", "lost"), ("publish", "reply"), ("publish", "poisoned delta"), ("publish", "delta")],
            *[("publish", "elsewhere"), ("rest",), ("cut",), ("publish", "reply", "lost")],
            *[("publish", "delta", "now"), ("publish", "typing")],
        ],
    ),
    "one pattern's batch is not believed beyond what another's may hold": (
        CHAT,
        [
            *[("join", "middle"), ("publish", "activity", "lost"), ("rest",), ("join", "middle"), ("settle",)],
            *[("answer", 0, 0), ("publish", "reply", "now"), ("publish", "update", "now")],
        ],
    ),
    "a slow reader's chain goes on behind what was purged": (
        Setup(topics=("chat_s1",), wires="both", in_cluster=True),
        [
            *[("join", "now"), ("join", "beginning"), ("advance", 6.0), ("flood", 12), ("publish", "reply", "now")],
            *[("purge",)],
        ],
    ),
    "a slow reader's chain goes on behind what has expired": (
        EVENTS,
        [
            *[("join", "records only"), ("publish", "reply"), ("publish", "reply", "now")],
            *[("publish", "elsewhere", "now"), ("stall", 0), ("advance", 25.0), ("publish", "message", "now")],
            *[("publish", "delta"), ("publish", "typing", "now"), ("advance", 25.0), ("publish", "notice", "now")],
            *[("flood", 12)],
        ],
    ),
    "who waits for its history is not let in by a healing": (
        Setup(topics=("events",), wires="both", most_in_batch=3),
        [
            *[("join", "now", 1), ("rest",), ("join", "history"), ("publish", "reply"), ("lose", "RECORDS")],
            *[("publish", "message")],
        ],
    ),
    "a history that is looked up once more owes what came meanwhile": (
        BY_TWO,
        [
            *[("join", "now"), ("advance", 0.5), ("join", "history"), ("publish", "reply", "lost"), ("settle",)],
            *[("publish", "delta", "lost"), ("publish", "delta", "now"), ("publish", "poisoned delta")],
            *[("ignore", 0)],
        ],
    ),
    "a history is looked up in the life of the stream that it is told in": (
        BY_TWO,
        [
            *[("join", "middle"), ("advance", 25.0), ("publish", "poisoned delta"), ("publish", "reply", "now")],
            *[("lose", "SIGNALS"), ("join", "history"), ("publish", "delta", "now"), ("publish", "typing")],
            *[("anew", "RECORDS")],
        ],
    ),
    "who resumes behind what has expired comes to the head of a quiet topic": (
        Setup(topics=("chat_s1", "events"), signals_max_age_s=20.0),
        [
            *[("join", "middle"), ("advance", 6.0), ("publish", "notice", "now"), ("advance", 25.0)],
            *[("join", "beginning")],
        ],
    ),
    "who is compared while something else heals keeps its position": (
        Setup(topics=("events",), wires="both", most_in_batch=3),
        [
            *[("join", "resume", 1), ("rest",), ("publish", "activity", "now"), ("publish", "reply")],
            *[("publish", "update"), ("lose", "RECORDS"), ("publish", "activity", "lost"), ("join", "end")],
            *[("rest",)],
        ],
    ),
    "a late find does not say that all before it was shown": (
        BY_TWO,
        [
            *[("stream", "resume"), ("advance", 0.5), ("publish", "update", "lost"), ("publish", "message", "now")],
            *[("flood", 12), ("publish", "update", "now")],
        ],
    ),
    "a slow reader is not given a later event of a subject before one that was lost unnoticed": (
        Setup(topics=("chat_s1",)),
        [
            *[("join", "now"), ("rest",), ("publish", "message", "lost"), ("publish", "reply", "now"), ("rest",)],
            *[("stall", 0), *[("publish", "reply", "now")] * 30, ("publish", "message", "lost")],
            *[("publish", "reply", "now"), ("rest",), ("flow", 0), ("rest",)],
        ],
    ),
    "who is ahead while the topic heals is told so once": (
        EVENTS,
        [
            *[("join", "beginning"), ("advance", 0.5), ("publish", "delta"), ("publish", "message", "lost")],
            *[("join", "ahead"), ("publish", "message", "now"), ("rest",), ("cut",), ("publish", "message", "now")],
        ],
    ),
    "who waits when a stream begins another life is told from where they asked": (
        Setup(topics=("chat_s1", "events"), signals_max_age_s=20.0),
        [
            *[("join", "now", 0), ("join", "now", 1), ("advance", 2.5), ("publish", "elsewhere", "now")],
            *[("publish", "notice"), ("join", "end", 0), ("join", "foreign", 1), ("rest",), ("anew", "RECORDS")],
        ],
    ),
    "a log that was made anew is not asked for ever for what it had": (
        EVENTS,
        [
            *[("publish", "delta", "now"), ("anew", "RECORDS"), ("join", "now", 1), ("advance", 0.1)],
            *[("publish", "activity", "now"), ("anew", "SIGNALS")],
        ],
    ),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_broke_once_holds(what: str) -> None:
    setup, script = FOUND[what]
    run(setup, script)


def test_a_notice_of_before_is_not_replayed() -> None:
    with World(EVENTS) as world:
        world.play([("join", "now"), ("rest",), ("publish", "notice", "now"), ("rest",), ("join", "beginning")])
    shown = [[frame["event_type"] for frame in client.witness.frames] for client in world.clients]
    assert ["system.notice" in types for types in shown] == [True, False]
