"""Weak settings are named, each with how to mend it, and strong ones are not."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.settings import load
from mesh_cli.doctor.finding import Finding
from mesh_cli.doctor.keys import Keys, judge_keys
from mesh_cli.doctor.weaknesses import (
    ENOUGH_BITS,
    Files,
    judge_weaknesses,
    look_at_files,
    look_at_secrets,
    weigh,
)
from mesh_edge.settings import EdgeSettings
from tests.support.signers import Signer

pytestmark = pytest.mark.promise("P-DOCTOR-1")

STRONG = "4oJmCbGQv3TzuqRN8dJ1LwLKk1XvZ2bhTjzR0sYyKfM="
LOCAL, REMOTE = "http://127.0.0.1:8000", "https://mesh.example"


def examined(
    url: str = LOCAL, *, longest_s: float = 0, data_dir: Path = Path("none"), **variables: str
) -> list[Finding]:
    settings = load(EdgeSettings, {f"MESH_{name.upper()}": value for name, value in variables.items()})
    files = look_at_files(settings, data_dir)
    return judge_weaknesses(url, settings, look_at_secrets(settings), files, longest_s)


def weak(url: str = LOCAL, *, longest_s: float = 0, data_dir: Path = Path("none"), **variables: str) -> dict[str, str]:
    found = [one for one in examined(url, longest_s=longest_s, data_dir=data_dir, **variables) if one.level != "ok"]
    assert all(one.mend for one in found)
    return {one.check: one.level for one in found}


def test_where_nothing_is_weak_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(STRONG)
    (tmp_path / "key").chmod(0o600)
    fine: list[dict[str, Any]] = [
        {},
        {"token_key": STRONG},
        {"origins": "https://app.example,http://localhost:5173,tauri://localhost"},
        {"token_key": Signer("ES256").public_pem},
    ]
    for variables in fine:
        (only,) = examined(**variables)
        assert (only.check, only.level) == ("settings", "ok")
    assert weak(REMOTE, token_key_file=str(tmp_path / "key"), longest_s=86_400) == {}
    assert weak(REMOTE, jwks_url="https://l.example/k", token_audience="mesh", token_issuer="https://l.example") == {}


@pytest.mark.parametrize(
    "key",
    [
        "x" * 64,
        "abcabcabcabcabcabcabcabcabcabcabcabc",
        "a key of tests, of thirty-two bytes",
        "my-secret-key-0123456789-ABCDEFGHIJKL",
        "Password1234Password1234Password1234",
        "12121212121212121212121212121212121212",
    ],
)
def test_a_secret_that_can_be_guessed_is_a_problem_and_not_shown(key: str) -> None:
    found = examined(token_key=key)
    assert {one.check: one.level for one in found} == {"token key": "problem"}
    assert key not in repr(found)
    assert "openssl rand" in found[0].mend


@given(st.integers(0, 2**32))
def test_a_secret_that_was_drawn_is_none(seed: int) -> None:
    draw = Random(seed).randbytes
    for drawn in (b64encode(draw(32)).decode(), draw(32).hex(), draw(16).hex()):
        weighed = weigh(drawn)
        assert weighed.bits >= ENOUGH_BITS
        assert not weighed.is_words


def test_each_weakness_is_named(tmp_path: Path) -> None:
    assert weak(REMOTE, token_key=STRONG) == {"token key": "warning"}
    assert weak("http://mesh.example", token_key_file="none") == {"transport": "problem"}
    assert weak("http://mesh.example") == {}  # `access` tells of that
    assert weak(origins="*") == {"origins": "problem"}
    assert weak(origins="https://app.example/path") == {"origins": "problem"}
    assert weak(origins="http://app.example") == {"origins": "warning"}
    assert weak(token_in_query="true") == {"token in query": "warning"}
    assert weak(REMOTE, trusted_proxies="*") == {"proxies": "warning"}
    assert weak(longest_s=31 * 86_400) == {"token lifetime": "warning"}
    assert weak(jwks_url="https://login.example/keys") == {"token audience": "warning", "token issuer": "warning"}
    (tmp_path / "key").write_text(STRONG)
    (tmp_path / "key").chmod(0o640)
    assert weak(token_key_file=str(tmp_path / "key")) == {"key files": "problem"}
    (tmp_path / "key").write_text(Signer("ES256").public_pem)
    assert weak(token_key_file=str(tmp_path / "key")) == {}


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o604, 0o640, 0o660])
def test_credentials_are_for_their_owner_alone(mode: int, tmp_path: Path) -> None:
    users = tmp_path / "creds" / "users"
    users.mkdir(parents=True)
    (users / "scout.creds").write_text("s3cr3t")
    (users / "scout.creds").chmod(mode)
    expected = {} if mode in {0o600, 0o400} else {"key files": "problem"}
    assert weak(data_dir=tmp_path) == expected
    assert weak(nats_creds=str(users / "scout.creds")) == expected
    assert "s3cr3t" not in repr(examined(data_dir=tmp_path))
    assert look_at_files(load(EdgeSettings, {}), tmp_path) == Files(
        [] if not expected else [str(users / "scout.creds")], 1
    )


def test_published_keys_are_counted_or_missed() -> None:
    (found,) = judge_keys(Keys(("RS256", "ES256", "RS256")))
    assert (found.level, found.seen) == ("ok", "MESH_JWKS_URL publishes ES256 x 1, RS256 x 2")
    (found,) = judge_keys(Keys(reason="HTTP 404"))
    assert (found.level, "404" in found.seen, bool(found.mend)) == ("problem", True, True)
