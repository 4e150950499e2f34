from __future__ import annotations

import pytest

from daena_mesh.errors import InvalidEvent
from mesh_cli.emit import parse_payload


def test_a_json_object_is_a_payload() -> None:
    assert parse_payload('{"activity": {"state": "searching"}}') == {"activity": {"state": "searching"}}


@pytest.mark.parametrize("text", ["", "{", "hello", "{'a': 1}", "\ud800"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidEvent, match="the payload is no JSON"):
        parse_payload(text)


@pytest.mark.parametrize("text", ["[]", "1", '"text"', "null"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidEvent, match="must be a JSON object"):
        parse_payload(text)
