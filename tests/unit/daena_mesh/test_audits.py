from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh import audits
from daena_mesh.audits import Audits, Looks
from daena_mesh.chain import Chain
from daena_mesh.errors import MeshUnavailable
from daena_mesh.reader import Newest, StreamReader
from daena_mesh.shared_run import SharedRun
from daena_mesh.stored import Stored
from daena_mesh.subjects import matches

RECORDS = "RECORDS"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "_IN_FLIGHT_S", 0)
    monkeypatch.setattr(audits, "_STALE_S", 0)


def stored(seq: int, subject: str, previous: int = 0) -> Stored:
    return Stored(RECORDS, subject.encode(), seq, previous, b"", b"", b"{}")


class Who:
    """Follows a chat, and takes findings as a follower does."""

    def __init__(self, *patterns: str, is_healing: bool = False) -> None:
        self.filters = {RECORDS: patterns}
        self.chains = {RECORDS: Chain(whole=patterns == (">",))}
        self.is_healing = is_healing
        self.lost: int | None = None

    def found(self, looks: Looks) -> None:
        look = looks[RECORDS]
        assert look.was == self.chains[RECORDS].verified
        self.lost = look.lost
        if look.lost is None:
            self.chains[RECORDS].verified = look.reach


class Log:
    """One stream: what was stored, and how many subjects an answer may have."""

    def __init__(self, *subjects: str, most: int = 1_024) -> None:
        self.messages = [stored(seq, subject) for seq, subject in enumerate(subjects, 1)]
        self.most = most
        self.asked: list[int] = []
        self.replicas: list[int] = []
        self.on_the_way: Callable[[], object] = lambda: None
        self.connection = self

    async def flush(self) -> None:
        self.on_the_way()

    async def stand(self) -> dict[str, int]:
        return {RECORDS: len(self.messages)}

    async def last(self, _stream: str, pattern: str) -> Stored | None:
        return next((m for m in reversed(self.messages) if matches(pattern, m.subject.decode())), None)

    async def lasts(self, _stream: str, patterns: Sequence[str], after: int) -> Newest | None:
        self.asked.append(len(patterns))
        end = self.replicas.pop() if self.replicas else len(self.messages)
        newest = {
            m.subject: m for m in self.messages[:end] for pattern in patterns if matches(pattern, m.subject.decode())
        }
        if len(newest) > self.most:
            return None
        return Newest(sorted((m for m in newest.values() if m.seq > after), key=lambda m: m.seq), 0, end)

    def audit(self, *everyone: Who) -> None:
        async def run() -> None:
            await Audits(cast("StreamReader", self), SharedRun(self.stand)).audit(everyone)

        asyncio.run(run())

    def find(self, who: Who) -> int | None:
        """Audit one, and give what it lost."""
        who.lost = None
        self.audit(who)
        return who.lost


def see(who: Who, *messages: Stored) -> None:
    for message in messages:
        who.chains[RECORDS].note(message)


def test_where_nothing_was_stored_since_all_was_verified_nothing_is_asked() -> None:
    log = Log("chat.a.message", "chat.b.message")
    a, b = Who("chat.a.>"), Who("chat.b.>")
    see(a, log.messages[0])
    see(b, log.messages[1])
    log.audit(a, b)
    assert (a.lost, b.lost, log.asked) == (None, None, [2])
    log.audit(a, b)
    assert log.asked == [2]
    log.messages.append(stored(3, "chat.a.message"))
    log.audit(a, b)
    assert (a.lost, b.lost) == (2, None), "what was verified need not be read again"


def test_a_loss_is_found_below_something_newer_on_another_subject() -> None:
    log = Log("chat.a.message", "session.a.updated", "chat.a.message")
    who = Who("chat.a.>", "session.a.>")
    see(who, log.messages[0], log.messages[2])
    log.audit(who)
    assert who.lost == 0


def test_one_that_heals_is_left_for_the_next_time_though_nothing_is_stored_until_then() -> None:
    log = Log("chat.a.message")
    who = Who("chat.a.>", is_healing=True)
    log.audit(who)
    assert (who.lost, who.chains[RECORDS].verified) == (None, 0)
    who.is_healing = False
    log.audit(who)
    assert who.lost == 0


def test_what_is_on_its_way_is_not_lost() -> None:
    log = Log("chat.a.message")
    who = Who("chat.a.>")
    log.on_the_way = lambda: see(who, log.messages[0])
    log.audit(who)
    assert (who.lost, who.chains[RECORDS].verified) == (None, 1)


def test_a_stale_replica_is_not_believed() -> None:
    log = Log("chat.a.message", "chat.b.message")
    who = Who("chat.b.>")
    log.replicas = [2, 1, 1]
    log.audit(who)
    assert (who.lost, len(log.asked)) == (0, 3)


def test_where_a_replica_does_not_tell_where_it_stands_the_head_is_compared() -> None:
    log = Log("chat.a.message", "chat.b.message")
    who = Who("chat.b.>")
    log.replicas = [0]
    log.audit(who)
    assert who.lost == 0
    see(who, log.messages[1])
    log.replicas = [0]
    assert log.find(who) is None
    assert who.chains[RECORDS].verified == 0


def test_replicas_that_stay_behind_are_told_of() -> None:
    log = Log("chat.a.message", "chat.b.message")
    log.replicas = [1] * 100
    with pytest.raises(MeshUnavailable):
        log.audit(Who("chat.b.>"))


def test_too_many_subjects_are_asked_for_in_parts() -> None:
    log = Log(*(f"chat.t{i}.message" for i in range(10)), most=3)
    everyone = [Who(f"chat.t{i}.>") for i in range(10)]
    for i, who in enumerate(everyone):
        if i != 7:
            see(who, log.messages[i])
    log.audit(*everyone)
    assert [i for i, who in enumerate(everyone) if who.lost is not None] == [7]


def test_no_question_has_too_many_patterns() -> None:
    log = Log("chat.t0.message", most=10**9)
    log.audit(*(Who(f"chat.t{i}.>", f"session.t{i}.>") for i in range(400)))
    assert log.asked == [512, 288]


def test_one_with_too_many_subjects_of_its_own_is_compared_by_its_head() -> None:
    log = Log(*(f"council.c{i}.update" for i in range(5)), most=3)
    who = Who("council.>")
    see(who, *log.messages[:4])
    log.audit(who)
    assert who.lost is not None
    see(who, log.messages[4])
    who.lost = None
    log.audit(who)
    assert (who.lost, who.chains[RECORDS].verified) == (None, 0)


def test_who_follows_everything_lost_what_it_has_not_come_to() -> None:
    log = Log("chat.a.message", "agent.b.activity")
    who = Who(">")
    see(who, log.messages[0])
    log.audit(who)
    assert (who.lost, log.asked) == (1, [])


SUBJECTS = ["chat.a.message", "chat.a.typing", "chat.b.message", "session.a.updated"]


@given(st.lists(st.tuples(st.sampled_from(SUBJECTS), st.booleans()), max_size=30), st.data())
def test_nothing_that_the_newest_message_of_a_subject_tells_is_missed_or_made_up(
    stream: list[tuple[str, bool]], data: st.DataObject
) -> None:
    """Audited at random moments; what was lost is then read, and so is seen."""
    log = Log()
    who = Who("chat.a.>", "session.a.>")
    chain = who.chains[RECORDS]
    for seq, (subject, arrives) in enumerate(stream, 1):
        log.messages.append(stored(seq, subject))
        if arrives and subject != "chat.b.message":
            see(who, log.messages[-1])
        if data.draw(st.booleans()):
            mine = [m for m in log.messages if m.subject != b"chat.b.message"]
            newest = {m.subject: m for m in mine}
            missing = [m for m in newest.values() if chain.missed(m)]
            verified = chain.verified
            lost = log.find(who)
            assert (lost is not None) == bool(missing)
            if lost is None:
                assert chain.verified == len(log.messages)
            else:
                assert verified <= lost < min(m.seq for m in missing)
                see(who, *(m for m in mine if m.seq > lost and chain.missed(m)))


async def test_those_who_ask_at_once_are_looked_at_together() -> None:
    log = Log(*(f"chat.t{i}.message" for i in range(20)))
    shared = Audits(cast("StreamReader", log), SharedRun(log.stand))
    found: list[Any] = await asyncio.gather(*(shared.ask(Who(f"chat.t{i}.>")) for i in range(20)))
    assert log.asked == [20]
    assert all(stands == {RECORDS: 20} and looks[RECORDS].lost == 0 for stands, looks in found)
