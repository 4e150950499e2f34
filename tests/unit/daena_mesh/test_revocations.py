"""Which tokens are refused before they expire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.revocations import Revocation, Revoked, token_id
from daena_mesh.subjects import check_pattern
from daena_mesh.tokens import Claims, mint

pytestmark = pytest.mark.promise("P-TOKEN-7")

TOKEN = mint(Claims(sub="ada", exp=1), b"a key of tests, of thirty-two bytes")
OTHER = mint(Claims(sub="ada", exp=2), b"a key of tests, of thirty-two bytes")


def test_a_user_is_refused_with_all_tokens_that_were_made_before() -> None:
    revoked = Revoked()
    assert not revoked.refuses("ada", 0, "x")
    revoked.add(Revocation(100, user="ada"))
    revoked.add(Revocation(50, user="ada"))  # entries may be read again, and late
    assert revoked.refuses("ada", 0, "x")
    assert revoked.refuses("ada", 99.9, "x")
    assert not revoked.refuses("ada", 100, "x")
    assert not revoked.refuses("bob", 0, "x")
    assert not revoked.refuses(None, 0, "")


def test_a_token_is_refused_alone() -> None:
    revoked = Revoked()
    revoked.add(Revocation(100, token=token_id(TOKEN)))
    assert revoked.refuses("ada", 200, token_id(TOKEN))
    assert not revoked.refuses("ada", 0, token_id(OTHER))
    assert token_id(TOKEN) not in {"", token_id(OTHER)}


@pytest.mark.parametrize("text", ["", "ada", "a.b.c", "a.b." + "*" * 30, TOKEN[:-30]])
def test_what_is_no_token_has_no_id(text: str) -> None:
    assert token_id(text) == ""
    revoked = Revoked()
    revoked.add(Revocation(100, token=token_id(text)))
    assert not revoked.refuses(None, 0, "")


@given(st.text(min_size=1, max_size=256))
def test_any_user_has_a_key(user: str) -> None:
    key = Revocation(1, user=user).key
    assert check_pattern(key.removeprefix("$KV.")).startswith("REVOKED.user.")
    assert "*" not in key
