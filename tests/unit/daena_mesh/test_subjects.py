from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daena_mesh.errors import InvalidId, InvalidSubject, MeshError
from daena_mesh.subjects import (
    MAX_ID,
    MAX_TOKENS,
    Subject,
    check_id,
    check_name,
    check_pattern,
    check_scope,
    covers,
    event_type_of,
    matches,
    overlaps,
    safe_id,
    subject_for,
)

ID = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
WORD = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)

# Small alphabets, so that patterns meet: every subject of up to four tokens of a and b can be listed.
TOKENS = ("a", "b")
MOST = 4
SUBJECTS = [".".join(tokens) for count in range(1, MOST + 2) for tokens in itertools.product(TOKENS, repeat=count)]
PATTERN = st.builds(
    lambda tokens, tail: ".".join([*tokens, *tail]) or "a",
    st.lists(st.sampled_from([*TOKENS, "*"]), max_size=MOST - 1),
    st.sampled_from([[], [">"]]),
)

HOSTILE = [
    *(
        "",
        "*",
        ">",
        "a.b",
        ".",
        "a ",
        " a",
        "a b",
        "a\tb",
        "a\r\nb",
        "a\n",
        "\x00",
        "a\x00",
        "$JS",
        "a/b",
        "a%b",
        "ä",
        "网",
    ),
    *(
        "ada@example.org",
        "a" * 65,
        "a" * 5_000,
        "\N{FULLWIDTH LATIN SMALL LETTER A}",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "\ud800",
    ),
]


def receives(pattern: str, subject: str) -> bool:
    """Say what NATS does, by its definition, token by token."""
    if not pattern:
        return not subject
    first, _, rest = pattern.partition(".")
    token, _, more = subject.partition(".")
    if first == ">":
        return bool(subject)
    return bool(subject) and first in {"*", token} and receives(rest, more)


def taken(pattern: str) -> set[str]:
    return {subject for subject in SUBJECTS if receives(pattern, subject)}


@given(PATTERN, PATTERN)
@example("a.>", "a.>")
@example("a.*.>", "a.>")
@example("*", ">")
def test_covers_is_being_a_superset(pattern: str, other: str) -> None:
    assert covers(pattern, other) == (taken(other) <= taken(pattern))


@given(PATTERN, PATTERN)
@example("a.>", "a")
@example("a.*", "*.b")
def test_overlaps_is_having_a_subject_in_common(pattern: str, other: str) -> None:
    assert overlaps(pattern, other) == bool(taken(pattern) & taken(other))
    assert overlaps(other, pattern) == overlaps(pattern, other)


@given(PATTERN, st.sampled_from(SUBJECTS))
def test_matches_is_what_nats_delivers(pattern: str, subject: str) -> None:
    assert matches(pattern, subject) == receives(pattern, subject)


@given(WORD, ID, WORD, st.none() | ID)
def test_a_subject_is_built_and_parsed_to_the_same(domain: str, ident: str, verb: str, author: str | None) -> None:
    text = subject_for(f"{domain}.{verb}", ident, author)
    subject = Subject.parse(text)
    assert subject == (domain, ident, verb, author)
    assert str(subject) == text
    assert subject.event_type == event_type_of(text) == f"{domain}.{verb}"
    assert check_pattern(text) == text


@given(st.text() | st.lists(st.text(), max_size=6).map(".".join))
@example("chat.s1")
@example("chat.s1.message.a.b")
@example("Chat.s1.message")
@example("chat.s1.message\n")
def test_whatever_else_is_no_subject_is_refused_in_one_short_line(text: str) -> None:
    try:
        assert str(Subject.parse(text)) == text
    except (InvalidSubject, InvalidId) as error:
        refusal = str(error)
    else:
        return
    assert len(refusal) < 1_000
    assert refusal.isprintable()
    assert refusal.isascii()


@pytest.mark.promise("P-ID-1")
@pytest.mark.parametrize("ident", HOSTILE, ids=lambda ident: ascii(ident[:12]))
def test_no_hostile_id_passes_any_door(ident: str) -> None:
    for door in (check_id, lambda text: subject_for("chat.message", text), lambda text: subject_for("a.b", "x", text)):
        with pytest.raises(InvalidId, match=r"safe_id\(\)"):
            door(ident)
    with pytest.raises(MeshError):
        Subject.parse(f"chat.{ident}.message.me")
    assert check_id(safe_id(ident))


@pytest.mark.parametrize("value", [None, 5, b"bytes", ["a"]])
def test_an_id_that_is_no_text_is_refused_by_its_type(value: object) -> None:
    with pytest.raises(InvalidId, match=f"session_id must be text, not {type(value).__name__}"):
        check_id(value, "session_id")
    with pytest.raises(InvalidId):
        check_scope(value)


@given(st.text() | st.text(alphabet="ab-_.*> \ud800", max_size=100))
def test_safe_id_is_total_stable_valid_and_idempotent(text: str) -> None:
    ident = safe_id(text)
    assert check_id(ident) == ident
    assert safe_id(text) == ident
    assert safe_id(ident) == ident


@given(st.lists(st.text(max_size=80), unique=True, max_size=50))
def test_safe_id_keeps_different_texts_apart(texts: list[str]) -> None:
    assert len({safe_id(text) for text in texts}) == len(texts)


def test_safe_id_stays_the_same_over_releases() -> None:
    assert safe_id("ada@example.org") == "ada-example-org-7189365e6356"
    assert safe_id("s-1_A") == "s-1_A"
    assert safe_id("") == "ddd9c40767f9"
    assert len(safe_id("x" * 5_000)) == MAX_ID


def test_only_presence_and_system_have_wide_ids() -> None:
    wide = "chat_" + "x" * 64
    assert Subject.parse(f"presence.{wide}.join").id == wide
    assert subject_for("system.notice", wide) == f"system.{wide}.notice"
    with pytest.raises(InvalidId, match="1 to 64"):
        subject_for("chat.message", wide)
    with pytest.raises(InvalidId, match="1 to 80"):
        subject_for("presence.join", "x" * 81)


@pytest.mark.parametrize(
    "pattern", ["", ".", "a..b", "a.>.b", "a.**", "a*", ">a", "a b", "a.\r\nPUB x 0", "ä.>", "a." * 3_000 + ">"]
)
def test_a_pattern_that_nats_would_not_take_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidSubject, match="is not a subject"):
        check_pattern(pattern)


@given(PATTERN)
def test_every_pattern_of_the_grammar_passes(pattern: str) -> None:
    assert check_pattern(pattern) == pattern


def test_a_pattern_is_short_enough_for_one_line_to_nats() -> None:
    longest = ".".join(["x" * 80] * MAX_TOKENS)
    assert check_pattern(longest) == longest
    assert len(f"SUB live.{longest} L1\r\n") < 4_096
    with pytest.raises(InvalidSubject, match=f"up to {MAX_TOKENS} tokens"):
        check_pattern(longest + ".x")


@pytest.mark.parametrize(
    "event_type", ["", "chat", "chat.", ".message", "chat.message.x", "Chat.message", "chat.*", "chat.>"]
)
def test_an_event_type_is_two_words(event_type: str) -> None:
    with pytest.raises(InvalidSubject, match=r"is not <domain>\.<verb>"):
        subject_for(event_type, "s1")


def test_a_name_is_an_id_but_none_that_would_widen_rights() -> None:
    assert check_name("scout") == "scout"
    for name in ("NAMES", "LIST", "*", "a.b", ""):
        with pytest.raises(InvalidId):
            check_name(name)
