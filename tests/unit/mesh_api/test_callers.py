"""Which ids somebody may see, by the patterns of their token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.tokens import Rights
from mesh_api.callers import ids_seen

WORDS = st.sampled_from(["chat", "session", "s1", "s2", "message", "*", ">", ""])
PATTERNS = st.lists(st.lists(WORDS, min_size=1, max_size=4).map(".".join), max_size=5)
DOMAINS = ("chat", "session")


@pytest.mark.promise("P-TOKEN-5")
@pytest.mark.parametrize(
    ("read", "seen"),
    [
        ((">",), None),
        (("*.*.>",), None),
        (("chat.>", "session.*.>"), None),
        (("chat.>", "session.s1.>"), {"s1"}),
        (("*.s1.>",), {"s1"}),
        (("chat.s1.>", "session.s1.>", "chat.s2.>"), {"s1"}),
        (("chat.*.*", "session.>"), set()),
        (("chat.*.message", "session.>"), set()),
        ((), set()),
    ],
)
def test_ids_are_seen_of_which_everything_may_be_read(read: tuple[str, ...], seen: set[str] | None) -> None:
    assert ids_seen(read, DOMAINS) == seen


@pytest.mark.promise("P-TOKEN-5")
@given(PATTERNS)
def test_they_are_those_that_each_alone_would_be(read: list[str]) -> None:
    rights, seen = Rights(tuple(read)), ids_seen(read, DOMAINS)
    for ident in ("s1", "s2", "other", "message", "chat"):
        alone = rights.may_read(f"{domain}.{ident}.>" for domain in DOMAINS)
        assert (seen is None or ident in seen) == alone
