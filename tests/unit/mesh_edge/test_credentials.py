"""Where a token is found, and which one counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_edge.credentials import Knock, Places, offers, token_of

EVERYWHERE = Places(cookie="mesh_token", query=True)
NAMES = st.text("abc.-", min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("knock", "token"),
    [
        (Knock(), ""),
        (Knock(protocols="mesh.v1, bearer.a.b.c"), "a.b.c"),
        (Knock(protocols="bearer.a.b.c,mesh.v1"), "a.b.c"),
        (Knock(protocols="mesh.v1, x-bearer.a"), ""),
        (Knock(authorization="Bearer a.b.c"), "a.b.c"),
        (Knock(authorization="bearer  a.b.c "), "a.b.c"),
        (Knock(authorization="Basic a.b.c"), ""),
        (Knock(authorization="Bearer"), ""),
        (Knock(cookie="theme=dark; mesh_token=a.b.c; x=y"), "a.b.c"),
        (Knock(cookie="mesh_token=a.b.c"), "a.b.c"),
        (Knock(cookie="not_mesh_token=a.b.c; mesh_tokens=d"), ""),
        (Knock(cookie="mesh_token"), ""),
        (Knock(query_token="a.b.c"), "a.b.c"),
        (Knock(protocols="bearer.1", authorization="Bearer 2", query_token="3", cookie="mesh_token=4"), "1"),
        (Knock(authorization="Bearer 2", query_token="3", cookie="mesh_token=4"), "2"),
        (Knock(query_token="3", cookie="mesh_token=4"), "3"),
    ],
)
def test_the_most_explicit_token_counts(knock: Knock, token: str) -> None:
    assert token_of(knock, EVERYWHERE) == token


def test_it_is_looked_for_only_where_it_may_be() -> None:
    knock = Knock(query_token="3", cookie="mesh_token=4; other=5")
    assert token_of(knock, Places()) == ""
    assert token_of(knock, Places(cookie="other")) == "5"
    assert token_of(knock, Places(query=True)) == "3"


@given(st.lists(NAMES, max_size=4))
def test_the_subprotocol_is_chosen_when_it_is_offered(names: list[str]) -> None:
    assert offers(", ".join(names)) is None
    assert offers(",".join([*names, " mesh.v1 "])) == "mesh.v1"


@given(
    st.lists(st.sampled_from(("mesh.v1", "bearer.a", "bearer.b", "bearer.", "x-bearer.c")), min_size=1), st.booleans()
)
def test_of_many_subprotocols_the_first_token_counts(names: list[str], has_spaces: bool) -> None:
    protocols = (", " if has_spaces else ",").join(names)
    tokens = [name.removeprefix("bearer.") for name in names if name.startswith("bearer.")]
    assert token_of(Knock(protocols=protocols), EVERYWHERE) == (tokens[0] if tokens else "")
    assert offers(protocols) == ("mesh.v1" if "mesh.v1" in names else None)
