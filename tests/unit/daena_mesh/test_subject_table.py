from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.stored import Stored
from daena_mesh.subject_table import SubjectTable
from daena_mesh.subjects import matches

WORDS = st.sampled_from(["a", "b", "c"])
SUBJECTS = st.lists(WORDS, min_size=1, max_size=4).map(".".join)
PATTERNS = st.tuples(st.lists(st.one_of(WORDS, st.just("*")), max_size=4), st.booleans()).map(
    lambda drawn: ".".join([*drawn[0], ">"] if drawn[1] or not drawn[0] else drawn[0])
)


def stored(seq: int, subject: str) -> Stored:
    return Stored("RECORDS", subject.encode(), seq, 0, b"", b"", b"")


@given(st.lists(SUBJECTS, max_size=20), st.lists(PATTERNS, min_size=1, max_size=6), st.integers(0, 20))
def test_a_pattern_finds_what_it_matches_whether_it_is_asked_before_or_after(
    subjects: list[str], patterns: list[str], asked: int
) -> None:
    table = SubjectTable()
    messages = [stored(seq, subject) for seq, subject in enumerate(subjects, 1)]
    for seen in range(len(messages) + 1):
        if seen:
            table.add(messages[seen - 1])
        if seen in {asked, len(messages)}:
            for pattern in patterns:
                found = [m for row in table.rows(pattern).values() for m in row]
                assert sorted(m.seq for m in found) == [
                    m.seq for m in messages[:seen] if matches(pattern, m.subject.decode())
                ]
                for row in table.rows(pattern).values():
                    assert [m.seq for m in row] == sorted(m.seq for m in row)
