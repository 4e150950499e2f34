from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request

from daena_mesh.tokens import TokenSettings
from mesh_api.callers import Callers
from mesh_api.idempotency import check_same, ids_of
from mesh_api.problems import Problem


def request(key: bytes | None, *, caller: str = "192.0.2.1", path: str = "/api/v1/daena/chat") -> Request:
    headers = [] if key is None else [(b"idempotency-key", key)]
    scope: dict[str, Any] = {"type": "http", "path": path, "headers": headers, "query_string": b""}
    made = Request({**scope, "server": ("api.test", 80), "scheme": "http", "client": (caller, 1), "method": "POST"})
    Callers(TokenSettings()).admit(made)
    return made


def test_the_same_caller_path_and_key_give_the_same_ids() -> None:
    assert ids_of(request(b"k")).make("message") == ids_of(request(b"k")).make("message")
    assert ids_of(request(b"k")).given("message") == ids_of(request(b"k")).make("message")


def test_anything_else_gives_others() -> None:
    others = [
        ids_of(request(b"k")).make("message"),
        ids_of(request(b"k")).make("session"),
        ids_of(request(b"other")).make("message"),
        ids_of(request(b"k", caller="192.0.2.2")).make("message"),
        ids_of(request(b"k", path="/api/v1/departments/HR/chat")).make("message"),
        ids_of(request(None)).make("message"),
        ids_of(request(None)).make("message"),
    ]
    assert len(set(others)) == len(others)
    assert ids_of(request(None)).given("message") is None


@pytest.mark.parametrize("key", [b"", b"a b", b"\xff", b"x" * 256, b"tab\t"])
def test_a_key_that_is_none(key: bytes) -> None:
    with pytest.raises(Problem):
        ids_of(request(key))


def test_what_differs_is_named() -> None:
    check_same({"content": "a", "more": 1}, {"content": "a"})
    with pytest.raises(Problem, match="another content, sender"):
        check_same({"content": "a"}, {"content": "b", "sender": "c"})
