from __future__ import annotations

import pytest

from mesh_api.preconditions import etag, expected, only_seq
from mesh_api.problems import Problem


@pytest.mark.parametrize("header", [None, "*", " * "])
def test_nothing_is_demanded(header: str | None) -> None:
    assert expected(header, 7) is None


@pytest.mark.parametrize("header", ['"7"', ' "7" ', '"6", "7"', 'W/"7","7"'])
def test_the_current_tag_is_demanded(header: str) -> None:
    assert expected(header, 7) == 7


@pytest.mark.parametrize("header", ['"6"', 'W/"7"', "7", "", '"7', '"abc"', '"7" "8"', "*, *"])
def test_another_tag_is_refused_with_the_current_one(header: str) -> None:
    with pytest.raises(Problem) as refused:
        expected(header, 7)
    assert refused.value.kind.status == 412


@pytest.mark.parametrize(
    ("header", "seq"), [('"7"', 7), (' "12"', 12), ('"0"', None), ('"7","8"', None), ('W/"7"', None), ("*", None)]
)
def test_a_single_tag_of_ours(header: str, seq: int | None) -> None:
    assert only_seq(header) == seq


def test_a_tag_is_quoted() -> None:
    assert etag(7) == '"7"'
