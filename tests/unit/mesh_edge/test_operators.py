from __future__ import annotations

import time
from typing import Any

import pytest
from starlette.requests import Request

from daena_mesh.origin import OriginPolicy
from daena_mesh.revocations import Revoked
from daena_mesh.tokens import Claims, Keyring, Rights
from mesh_edge.gate import Refusal
from mesh_edge.operators import Operators

KEYRING = Keyring([b"k" * 32])
OPEN = OriginPolicy(open_loopback=True)


def request(client: str = "127.0.0.1", **headers: str) -> Request:
    given = {"host": "127.0.0.1:8001", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope: dict[str, Any] = {"type": "http", "client": (client, 5_000)}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in given.items()]
    return Request(scope)


def token(*read: str, lives_s: float = 3_600) -> str:
    return KEYRING.mint(Claims(sub="ada", exp=time.time() + lives_s, mesh=Rights(read=read)))


@pytest.mark.parametrize(
    "asking",
    [
        request(),
        request("::1", host="localhost:8001"),
        request("127.0.0.9", host="[::1]:8001"),
        request(origin="http://localhost:3000"),
    ],
)
def test_without_tokens_this_machine_is_shown_it(asking: Request) -> None:
    Operators(None, OPEN, Revoked()).check(asking)


@pytest.mark.parametrize(
    ("asking", "why"),
    [
        (request("192.0.2.1"), "on the machine of the edge"),
        (request("not-an-address"), "on the machine of the edge"),
        (request(x_forwarded_for="127.0.0.1"), "through a proxy"),
        (request(x_real_ip="127.0.0.1"), "through a proxy"),
        (request(forwarded="for=127.0.0.1"), "through a proxy"),
        (request(via="1.1 squid"), "through a proxy"),
        (request(host="rebound.example:8001"), "pages of other origins"),
        (request(origin="https://evil.example"), "pages of other origins"),
        (request(origin="null"), "pages of other origins"),
        (Request({"type": "http", "client": None, "headers": [(b"host", b"localhost")]}), "on the machine of the edge"),
    ],
)
def test_without_tokens_nobody_else_is(asking: Request, why: str) -> None:
    with pytest.raises(Refusal, match=why) as refused:
        Operators(None, OPEN, Revoked()).check(asking)
    assert refused.value.status == 403


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_with_tokens_who_may_read_everything_is_shown_it_from_anywhere(scheme: str) -> None:
    asking = request("192.0.2.1", authorization=f"{scheme} {token('chat.>', '>')}", x_forwarded_for="192.0.2.7")
    Operators(KEYRING, OPEN, Revoked()).check(asking)


@pytest.mark.parametrize(
    ("authorization", "status", "why"),
    [
        ("", 401, "a token is needed"),
        ("Basic YTpi", 401, "a token is needed"),
        ("Bearer ", 401, "a token is needed"),
        ("Bearer nonsense", 401, "signature"),
        (f"Bearer {token('>', lives_s=-1)}", 401, "expired"),
        (f"Bearer {token('chat.>', '*')}", 403, "everything"),
        (f"Bearer {token()}", 403, "everything"),
    ],
)
def test_with_tokens_nobody_else_is(authorization: str, status: int, why: str) -> None:
    with pytest.raises(Refusal, match=why) as refused:
        Operators(KEYRING, OPEN, Revoked()).check(request(authorization=authorization))
    assert refused.value.status == status
    assert ("WWW-Authenticate" in refused.value.headers) == (status == 401)
