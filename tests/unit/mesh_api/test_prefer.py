from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_api.app import create_app
from mesh_api.openapi import document
from mesh_api.prefer import MOST_WAIT_S, wait_of
from mesh_api.settings import ApiSettings


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ([], None),
        (["wait=20"], 20),
        (["Wait = 5"], 5),
        (['wait="7"'], 7),
        (["respond-async, wait=10"], 10),
        (["respond-async;x=1;y, wait=10; z"], 10),
        (["return=minimal", "wait=3"], 3),
        (["wait=3, wait=9"], 3),
        (["wait=3", "wait=9"], 3),
        (["wait=0"], 0),
        (["wait=999999"], MOST_WAIT_S),
        (["wait"], None),
        (["wait="], None),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=٣"], None),
        (["wait=soon, wait=5"], None),
        (['x="a, wait=5"'], None),
        (['x="a\\", wait=5", wait=6'], 6),
        (["waits=5"], None),
    ],
)
def test_how_long_somebody_would_wait(headers: list[str], wait_s: int | None) -> None:
    assert wait_of(headers) == wait_s


@given(st.lists(st.text(alphabet=st.sampled_from('wait=,;" \\19xé')), max_size=3))
def test_whatever_is_sent_is_read(headers: list[str]) -> None:
    assert (wait_of(headers) or 0) <= MOST_WAIT_S


def test_a_long_header_takes_no_time() -> None:
    for header in ("wait" + " " * 60_000 + "x", '"' * 60_000, "," * 60_000, '"\\' * 30_000):
        assert wait_of([header]) is None


def test_the_chat_calls_are_documented_to_take_it() -> None:
    paths = document(create_app(ApiSettings()))["paths"]
    taking = {
        path
        for path, operations in paths.items()
        for operation in operations.values()
        if any(parameter["name"] == "Prefer" for parameter in operation.get("parameters", ()))
    }
    assert {path.removeprefix("/api/v1") for path in taking} == {
        *("/daena/chat", "/departments/{department_id}/chat", "/agents/{agent_id}/chat"),
    }
