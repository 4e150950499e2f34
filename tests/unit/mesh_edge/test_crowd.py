"""Counting who is here."""

from __future__ import annotations

from collections import Counter
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from mesh_edge.crowd import Crowd
from mesh_edge.link import Link


class Somebody:
    """Stands for a link."""


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "", None]), st.booleans())), st.integers(0, 3))
def test_a_key_is_full_when_it_has_as_many_as_it_may(steps: list[tuple[str | None, bool]], most: int) -> None:
    crowd, here = Crowd(most), list[tuple[Link, str | None]]()
    for key, comes in steps:
        if comes and not crowd.is_full(key):
            link = cast("Link", Somebody())
            crowd.enter(link, key)
            here.append((link, key))
        elif here:
            link, _ = here.pop()
            crowd.leave(link)
            crowd.leave(link)
        counts = Counter(key for _, key in here)
        for name in ("a", "b"):
            assert crowd.is_full(name) == (0 < most <= counts[name])
        assert not crowd.is_full("")
        assert not crowd.is_full(None)
    for link, _ in here:
        crowd.leave(link)
    assert crowd._counts == {}
    assert crowd._keys == {}
