from __future__ import annotations

import time

import pytest

from daena_mesh.errors import ConfigurationError, MeshError
from daena_mesh.tokens import Claims, Keyring, Rights, TokenSettings
from mesh_cli.tokens import made, print_token, seconds_of

KEY = "a key of tests, of thirty-two bytes"
SETTINGS = TokenSettings(token_key=KEY)
KEYS = Keyring([KEY.encode()])
READ, WRITE = ("chat.s1.>", "agent.*.activity"), ("chat.s1.message",)


def test_what_is_made_says_who_may_do_what_and_until_when() -> None:
    token = made(SETTINGS, "alice", READ, WRITE, ttl="1h", at=1_000.5)
    assert KEYS.verify(token.encode(), 4_599) == Claims(sub="alice", exp=4_600, mesh=Rights(READ, WRITE), iat=1_000)


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("15m", 900), ("1h", 3_600), ("7d", 604_800)])
def test_times(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "1", "h", "-1h", "1.5h", "1w", "367d", "1h ", "\u0661h", "9999999999s"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(MeshError):
        seconds_of(text)


@pytest.mark.parametrize(
    ("user", "read"), [("", ()), ("x" * 257, ()), ("ada", ("chat.s 1",)), ("ada", ("chat.>.x",)), ("ada", ("a." * 9,))]
)
def test_nothing_is_made_that_would_not_do(user: str, read: tuple[str, ...]) -> None:
    with pytest.raises(MeshError):
        made(SETTINGS, user, read, (), ttl="1h", at=0)


def test_nothing_is_made_that_is_too_long_to_be_accepted() -> None:
    with pytest.raises(MeshError, match="bytes"):
        made(SETTINGS, "ada", [f"chat.session-{number}.>" for number in range(500)], (), ttl="1h", at=0)


def test_without_a_key_the_error_says_where_it_belongs() -> None:
    with pytest.raises(ConfigurationError, match="MESH_TOKEN_KEY_FILE"):
        made(TokenSettings(), "ada", (), (), ttl="1h", at=0)


@pytest.mark.promise("P-TOKEN-2")
def test_the_token_alone_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_TOKEN_KEY", KEY)
    assert print_token("ada", READ, WRITE, ttl="10m") == 0
    captured = capsys.readouterr()
    token, end = captured.out.split("\n")
    assert (captured.err, end) == ("", "")
    assert KEY not in captured.out
    assert KEYS.verify(token.encode(), time.time()).sub == "ada"
