"""Base64url in one spelling: a token that is spelled otherwise is another token, and none of ours."""

from __future__ import annotations

import itertools
from binascii import Error as Base64Error

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.jose import decoded, encoded


@given(st.binary(max_size=100))
def test_what_was_encoded_is_decoded(data: bytes) -> None:
    assert decoded(encoded(data)) == data


@given(st.binary(max_size=40), st.integers(min_value=0), st.binary(max_size=2))
def test_nothing_is_decoded_that_would_be_encoded_otherwise(data: bytes, place: int, other: bytes) -> None:
    text = encoded(data)
    place %= len(text) + 1
    changed = text[:place] + other + text[place + len(other) :]
    try:
        found = decoded(changed)
    except Base64Error:
        return
    assert encoded(found) == changed


def test_of_all_texts_of_two_bytes_those_are_decoded_that_some_byte_is_encoded_as() -> None:
    texts = {encoded(bytes((byte,))) for byte in range(256)}
    for text in map(bytes, itertools.product(range(256), repeat=2)):
        if text in texts:
            assert encoded(decoded(text)) == text
        else:
            with pytest.raises(Base64Error):
                decoded(text)


@pytest.mark.parametrize(
    "text", [b"A", b"AAAAA", b"AA==", b"AAA=", b"AAB", b"AB", b"A+AA", b"A/AA", b"AA\nAA", b"\0AAA", b"===="]
)
def test_other_spellings_are_refused(text: bytes) -> None:
    with pytest.raises(Base64Error):
        decoded(text)
