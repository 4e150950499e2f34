"""One table says how connections end."""

from __future__ import annotations

import pytest

from mesh_edge import closing
from mesh_edge.closing import CLOSINGS, Closing, Reconnect, close_code_table


def test_every_closing_of_the_module_is_in_the_table_by_rising_code() -> None:
    named = [way for way in vars(closing).values() if isinstance(way, Closing)]
    assert sorted(named) == list(CLOSINGS)
    codes = [way.code for way in CLOSINGS]
    assert codes == sorted(set(codes))
    assert codes == [1000, 1001, 1002, 1003, 1007, 1009, 1011, 1012, 4400, 4401, 4403, 4408, 4429]


def test_names_and_reasons_fit_where_they_go() -> None:
    assert len({way.name for way in CLOSINGS}) == len(CLOSINGS)
    for way in CLOSINGS:
        assert way.name.replace("-", "").isalpha()
        assert way.reason.isascii()
        assert 0 < len(way.reason) <= 123
        assert "|" not in way.reason


@pytest.mark.parametrize(
    ("way", "reconnect", "resume"),
    [
        (closing.RESTART, Reconnect.AS_TOLD, True),
        (closing.BAD_REQUEST, Reconnect.NO, False),
        (closing.UNAUTHENTICATED, Reconnect.AFTER_TOKEN, True),
        (closing.FORBIDDEN, Reconnect.NO, False),
        (closing.TOO_SLOW, Reconnect.YES, True),
        (closing.TOO_MANY, Reconnect.LATER, True),
        (closing.GOING_AWAY, Reconnect.YES, True),
        (closing.INTERNAL_ERROR, Reconnect.LATER, True),
        (closing.PROTOCOL_ERROR, Reconnect.NO, False),
    ],
)
def test_what_a_client_does_next(way: Closing, reconnect: Reconnect, resume: bool) -> None:
    assert (way.reconnect, way.resume) == (reconnect, resume)


def test_the_table_is_markdown() -> None:
    lines = close_code_table().splitlines()
    assert lines[:2] == ["| code | name | reason | reconnect | resume |", "|---|---|---|---|---|"]
    assert len(lines) == 2 + len(CLOSINGS)
    assert all(line.count("|") == 6 for line in lines)
    assert "| 4408 | `too-slow` | the client did not keep up | yes | yes |" in lines
    assert "| 4401 | `unauthenticated` | the token is missing, wrong or expired | after a new token | yes |" in lines
    assert not close_code_table().endswith("\n")
