from __future__ import annotations

import time
from pathlib import Path

import pytest

from daena_mesh.errors import ConfigurationError, MeshError
from daena_mesh.tokens import Claims, Keyring, Rights, TokenSettings
from mesh_cli.tokens import made, print_token, seconds_of
from tests.support.signers import ALGORITHMS, Signer

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


@pytest.mark.promise("P-TOKEN-9")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_private_key_makes_what_its_public_key_accepts(alg: str, tmp_path: Path) -> None:
    signer = Signer(alg)
    (tmp_path / "key").write_text(signer.private_pem)
    settings = TokenSettings(token_key=signer.public_pem, token_issuer="us", token_audience="mesh")
    token = made(settings, "alice", READ, WRITE, ttl="1h", at=1_000.5, key_file=str(tmp_path / "key"))
    keyring = Keyring.load(settings)
    assert keyring is not None
    claims = keyring.verify(token.encode(), 4_599)
    assert (claims.sub, claims.mesh, claims.iss, claims.aud) == ("alice", Rights(READ, WRITE), "us", "mesh")
    with pytest.raises(ConfigurationError, match="private key"):
        made(settings, "alice", READ, WRITE, ttl="1h", at=0)


@pytest.mark.promise("P-TOKEN-2")
def test_a_file_of_another_kind_is_refused_and_a_secret_will_do(tmp_path: Path) -> None:
    path, signer = tmp_path / "key", Signer("ES256")
    path.write_text(f"{KEY}\n")
    token = made(TokenSettings(), "ada", READ, (), ttl="1h", at=0, key_file=str(path))
    assert KEYS.verify(token.encode(), 1).sub == "ada"
    for text, said in (
        (signer.public_pem, "is a public key"),
        ("s3cr3t", "6 bytes"),
        ("-----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY-----", "no private key in PEM"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=said) as caught:
            made(TokenSettings(), "ada", READ, (), ttl="1h", at=0, key_file=str(path))
        assert "s3cr3t" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"--key-file: .*cannot be read"):
        made(TokenSettings(), "ada", READ, (), ttl="1h", at=0, key_file=str(tmp_path / "none"))
