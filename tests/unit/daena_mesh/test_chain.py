"""A follower's state against a model: a log, and a live feed that loses, repeats and delays what it likes."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daena_mesh import chain as chain_module
from daena_mesh.chain import Chain, Hold, Verdict
from daena_mesh.stored import Stored

SUBJECTS = [b"chat.s.message", b"chat.s.message.ada", b"session.s.updated"]


class Following(RuleBasedStateMachine):
    """Follows a log as `Follower` does: what fits is shown, what does not makes it read the log."""

    whole = False
    foreign: bytes | None = b"chat.other.message"
    """A subject of the same stream that is not followed."""

    @initialize(begun=st.integers(0, 3))
    def begin(self, begun: int) -> None:
        self.log: list[Stored] = []
        self.last: dict[bytes, int] = {}
        self.shown: list[Stored] = []
        self.gaps: list[tuple[int, int]] = []
        self.expired = 0
        self.on_the_way: list[Stored] = []
        for _ in range(begun):
            self.store(SUBJECTS[0])
        self.on_the_way.clear()
        self.start = self.head
        self.chain = Chain(whole=self.whole)
        self.chain.begin(self.start)

    @property
    def head(self) -> int:
        return self.log[-1].seq if self.log else 0

    def store(self, subject: bytes) -> None:
        message = Stored("RECORDS", subject, self.head + 1, self.last.get(subject, 0), b"", b"", b"")
        self.log.append(message)
        self.last[subject] = message.seq
        if subject != self.foreign:
            self.on_the_way.append(message)

    @rule(subject=st.sampled_from(SUBJECTS), count=st.integers(1, 3))
    def publish(self, subject: bytes, count: int) -> None:
        for _ in range(count):
            self.store(subject)

    @precondition(lambda self: self.foreign is not None)
    @rule()
    def publish_elsewhere(self) -> None:
        assert self.foreign is not None
        self.store(self.foreign)

    @precondition(lambda self: self.on_the_way)
    @rule(count=st.integers(1, 4))
    def deliver(self, count: int) -> None:
        for message in self.on_the_way[:count]:
            self.receive(message)
        del self.on_the_way[:count]

    @precondition(lambda self: self.on_the_way)
    @rule(count=st.integers(1, 3))
    def lose(self, count: int) -> None:
        del self.on_the_way[:count]

    @precondition(lambda self: self.shown)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        before = len(self.shown)
        self.receive(data.draw(st.sampled_from(self.shown)))
        assert len(self.shown) == before

    @rule()
    def expire(self) -> None:
        """Let the limits take everything that was stored by now: audits come far more often than that."""
        self.audit()
        self.expired = self.head

    @rule()
    def reconnect(self) -> None:
        """Lose what was on the way, and read the log from where it was seen up to."""
        self.on_the_way.clear()
        self.audit()
        self.heal(self.chain.seen)
        assert {m.seq for m in self.shown} >= {m.seq for m in self.followed() if m.seq > self.expired}

    @rule()
    def audit(self) -> None:
        """Compare the newest message of each subject with what was seen."""
        found = self.unseen()
        if found is not None:
            self.heal(found)
            assert self.unseen() is None

    def unseen(self) -> int | None:
        """Find from where to read what is missing, as `Follower` does before it reads the log."""
        if self.whole:
            return None
        newest = {m.subject: m for m in self.followed() if m.seq > self.expired}
        behind = [m for m in newest.values() if m.seq > self.chain.verified]
        found = self.chain.lost(behind)
        if found is None:
            self.chain.verified = max([self.chain.verified, *(m.seq for m in behind)])
        return found

    def followed(self) -> list[Stored]:
        return [m for m in self.log if m.subject != self.foreign and m.seq > self.start]

    def receive(self, message: Stored) -> None:
        verdict = self.chain.judge(message)
        if verdict is Verdict.SHOW:
            self.show(message)
        elif verdict is Verdict.GAP:
            self.chain.reach = max(self.chain.reach, message.seq)
            behind = self.chain.heal_from(message)
            found = self.unseen()
            self.heal(behind if found is None else min(behind, found))
            self.chain.verified = self.chain.seen
            assert self.chain.judge(message) is Verdict.OLD or message.seq <= self.expired

    def heal(self, behind: int) -> None:
        if behind < self.expired:
            self.gaps.append((behind, self.expired))
            if self.expired > self.chain.seen:
                self.chain.begin(self.expired)
            behind = self.expired
        for message in self.log:
            if message.seq > behind and message.subject != self.foreign and self.chain.missed(message):
                self.show(message)

    def show(self, message: Stored) -> None:
        self.chain.note(message)
        before = self.chain.show(message.seq)
        assert before <= self.chain.position
        self.shown.append(message)

    @invariant()
    def each_subject_is_shown_in_order_and_once(self) -> None:
        for subject in SUBJECTS:
            seqs = [m.seq for m in getattr(self, "shown", ()) if m.subject == subject]
            assert seqs == sorted(set(seqs))
            assert all(seq > self.start for seq in seqs)

    @invariant()
    def what_was_not_shown_before_something_on_its_subject_lies_in_a_gap(self) -> None:
        for subject in SUBJECTS:
            seqs = {m.seq for m in getattr(self, "shown", ()) if m.subject == subject}
            for message in self.log if seqs else ():
                if message.subject == subject and self.start < message.seq < max(seqs):
                    assert message.seq in seqs or any(low < message.seq <= high for low, high in self.gaps)

    def teardown(self) -> None:
        """Tell of each subject once more: by then everything is shown, or lies in a gap."""
        if not hasattr(self, "chain"):
            return
        for subject in SUBJECTS:
            self.store(subject)
        for message in self.on_the_way[-len(SUBJECTS) :]:
            self.receive(message)
        self.each_subject_is_shown_in_order_and_once()
        seqs = {m.seq for m in self.shown}
        for message in self.log:
            if message.subject != self.foreign and message.seq > self.start and message.seq not in seqs:
                assert any(low < message.seq <= high for low, high in self.gaps)


class FollowingWhole(Following):
    """The same for a topic that takes a whole stream."""

    whole = True
    foreign = None


Following.TestCase.settings = FollowingWhole.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestFollowing = Following.TestCase
TestFollowingWhole = FollowingWhole.TestCase


def live(seq: int, previous: int, subject: bytes = b"chat.s.message") -> Stored:
    return Stored("RECORDS", subject, seq, previous, b"", b"", b"")


def test_a_live_message_after_expiry_is_no_gap() -> None:
    chain = Chain(whole=False)
    chain.begin(100)
    assert chain.judge(live(101, 0)) is Verdict.SHOW
    assert chain.judge(live(101, 50)) is Verdict.SHOW
    assert chain.judge(live(105, 101)) is Verdict.GAP
    assert chain.judge(live(100, 0)) is Verdict.OLD


def test_subjects_that_were_forgotten_are_no_gap_and_memory_is_bounded() -> None:
    chain = Chain(whole=False)
    chain.begin(0)
    most = chain_module.MOST_SUBJECTS
    for seq in range(1, 2 * most + 1):
        message = live(seq, 0, b"chat.s%d.message" % seq)
        assert chain.judge(message) is Verdict.SHOW
        chain.note(message)
        assert len(chain.by_subject) <= most
    assert len(chain.by_subject) > most / 2
    again = live(2 * most + 1, 1, b"chat.s1.message")
    assert chain.judge(again) is Verdict.SHOW
    lost = live(2 * most + 2, 2 * most, b"chat.s2.message")
    assert chain.judge(lost) is Verdict.GAP


@given(st.integers(0, 30), st.integers(1, 20), st.none() | st.integers(1, 30))
@example(5, 5, None)
@example(6, 5, None)
def test_what_is_held_is_released_in_order_or_told_as_too_much(count: int, most: int, refused: int | None) -> None:
    hold = Hold(most)
    messages = [live(seq, seq - 1) for seq in range(1, count + 1)]
    for message in messages:
        hold.add(message)
    assert hold.overflowed == (count > most)
    held = [] if hold.overflowed else messages
    given_out: list[Stored] = []

    def give(message: Stored) -> bool:
        if message.seq == refused:
            return False
        given_out.append(message)
        return True

    done = hold.release(give)
    assert given_out == [m for m in held if refused is None or m.seq < refused]
    assert done == (given_out == held)
    assert hold.first() == (None if done else held[len(given_out)])
    refused = None
    assert hold.release(give)
    assert given_out == held
