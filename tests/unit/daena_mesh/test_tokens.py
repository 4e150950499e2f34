"""Tokens: signed by us, with HS256 and nothing else, in their time, and saying what they must."""

from __future__ import annotations

import hashlib
import hmac
import json
import runpy
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daena_mesh.errors import ConfigurationError, InvalidToken
from daena_mesh.settings import load
from daena_mesh.tokens import Claims, Keyring, Rights, TokenSettings, mint
from tests.support.markdown import blocks
from tests.support.tracked import ROOT

KEY = b"the current key, 32 bytes of it."
OLD = b"the key before, also of 32 bytes"
NOW = 1_000_000.0
KEYS = Keyring([KEY])
ADA: dict[str, Any] = {"sub": "ada", "exp": 1_000_060, "mesh": {"read": ["chat.s1.>"], "write": ["chat.s1.message"]}}

PATTERN = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3).flatmap(
    lambda words: st.sampled_from([".".join(words), ".".join([*words[:-1], ">"])])
)


def encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def signed(head: bytes, body: bytes, key: bytes = KEY, algorithm: str = "sha256") -> bytes:
    """Sign what may not be a token at all."""
    text = encoded(head) + b"." + encoded(body)
    return text + b"." + encoded(hmac.digest(key, text, algorithm))


def token(head: dict[str, Any] | None = None, **claims: Any) -> bytes:
    """Sign a token by the book; a claim of None is left out."""
    said = {name: value for name, value in {**ADA, **claims}.items() if value is not None}
    return signed(json.dumps(head or {"alg": "HS256"}).encode(), json.dumps(said).encode())


@given(st.text(min_size=1, max_size=20), st.lists(PATTERN, max_size=3), st.lists(PATTERN, max_size=3))
def test_what_was_minted_is_read(sub: str, read: list[str], write: list[str]) -> None:
    claims = Claims(sub=sub, exp=NOW + 1, mesh=Rights(tuple(read), tuple(write)))
    assert KEYS.verify(KEYS.mint(claims).encode(), NOW) == claims


@given(st.binary(min_size=32, max_size=200), st.text(min_size=1, max_size=9))
@example(b"k" * 64, "ada")
@example(b"k" * 65, "ada")
def test_a_signature_is_that_of_the_standard_library(key: bytes, sub: str) -> None:
    signed, _, signature = mint(Claims(sub=sub, exp=1), key).encode().rpartition(b".")
    assert signature == encoded(hmac.digest(key, signed, "sha256"))


@given(st.data())
def test_no_byte_of_a_token_can_be_changed(data: st.DataObject) -> None:
    whole = mint(ADA, KEY).encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    with pytest.raises(InvalidToken):
        KEYS.verify(whole[:at] + bytes([byte]) + whole[at + 1 :], NOW)


@given(st.binary(max_size=300) | st.lists(st.binary(max_size=50).map(encoded), max_size=5).map(b".".join))
@example(b"")
@example(b".")
@example(b"..")
@example(b"...")
@example(mint(ADA, KEY).encode() + b"=")
@example(mint(ADA, KEY).encode() + b".")
@example(b"." + mint(ADA, KEY).encode())
@example(b"x" * 8_193)
def test_whatever_else_is_refused_in_one_way(text: bytes) -> None:
    with pytest.raises(InvalidToken, match=r"^the token\b[ a-z':,]+$"):
        KEYS.verify(text, NOW)


@given(st.binary(max_size=40), st.binary(max_size=120))
@example(b"null", b"null")
@example(b"[]", b"{}")
@example(b'{"alg":"HS256"}', b"\xff")
def test_what_is_signed_and_makes_no_sense_is_refused_too(head: bytes, body: bytes) -> None:
    with pytest.raises(InvalidToken):
        KEYS.verify(signed(head, body), NOW)


def test_the_example_of_the_standard_is_signed_as_it_says() -> None:
    """RFC 7515, appendix A.1: its signature is right, so what is missed is only the claims."""
    key = urlsafe_b64decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==")
    example = (
        b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        b".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        b".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    with pytest.raises(InvalidToken, match="does not say what it must"):
        Keyring([key]).verify(example, NOW)


@pytest.mark.promise("P-TOKEN-1")
@pytest.mark.parametrize(
    "head",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "hs256"},
        {"alg": "HS384"},
        {"alg": "RS256"},
        {"alg": ["HS256"]},
        {"alg": None},
        {"typ": "JWT"},
        {"alg": "HS256", "crit": ["exp"], "exp": 1},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "crit": None},
    ],
    ids=json.dumps,
)
def test_only_hs256_is_believed(head: dict[str, Any]) -> None:
    assert KEYS.verify(token(), NOW).sub == "ada"
    with pytest.raises(InvalidToken):
        KEYS.verify(token(head), NOW)


def test_a_token_without_a_signature_or_with_another_hash_is_refused() -> None:
    head, body, _ = token().split(b".")
    for signature in (b"", b".", encoded(b""), encoded(hmac.digest(KEY, head + b"." + body, "sha512"))):
        with pytest.raises(InvalidToken):
            KEYS.verify(head + b"." + body + b"." + signature, NOW)
    with pytest.raises(InvalidToken):
        KEYS.verify(signed(b'{"alg":"HS512"}', json.dumps(ADA).encode(), algorithm="sha512"), NOW)


def test_a_public_key_is_no_secret() -> None:
    """The classic confusion: the edge is given a public key, and a token signed by HMAC with that very text."""
    public = b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"
    with pytest.raises(InvalidToken):
        KEYS.verify(signed(b'{"alg":"RS256"}', json.dumps(ADA).encode(), public), NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 257},
        {"exp": None},
        {"exp": "1000060"},
        {"exp": True},
        {"exp": [1_000_060]},
        {"mesh": {"read": "chat.>"}},
        {"mesh": {"read": [1]}},
        {"mesh": []},
    ],
    ids=json.dumps,
)
def test_claims_that_are_missing_or_of_another_type_are_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken, match="does not say what it must"):
        KEYS.verify(token(**claims), NOW)


def test_base64_is_taken_in_one_spelling_only() -> None:
    body = encoded(json.dumps(ADA).encode() + b" ")
    assert len(body) % 4  # or there are no bits to spare
    head = encoded(b'{"alg":"HS256"}')
    last = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sloppy = [body + b"=" * (-len(body) % 4), body[:-1] + last[last.index(body[-1:]) + 1 :][:1]]
    sloppy += [body[:8] + b"\n" + body[8:], body[:8] + b" " + body[8:], body[:8] + b"!" + body[8:]]
    for text in [body, *sloppy]:
        whole = head + b"." + text
        whole += b"." + encoded(hmac.digest(KEY, whole, hashlib.sha256))
        if text is body:
            assert KEYS.verify(whole, NOW).sub == "ada"
        else:
            with pytest.raises(InvalidToken):
                KEYS.verify(whole, NOW)


@pytest.mark.promise("P-TOKEN-1")
def test_a_token_counts_in_its_time() -> None:
    for at in (0, 1_000_059.9):
        assert KEYS.verify(token(), at).exp == 1_000_060
    for at in (1_000_060, 1_000_060.5, 2e9):
        with pytest.raises(InvalidToken, match="expired"):
            KEYS.verify(token(), at)
    assert KEYS.verify(token(exp=1_000_000.5), NOW).exp == 1_000_000.5
    assert KEYS.verify(token(nbf=NOW), NOW).nbf == NOW
    with pytest.raises(InvalidToken, match="not valid yet"):
        KEYS.verify(token(nbf=NOW + 1), NOW)


def test_all_keys_of_the_ring_are_accepted_and_the_first_one_signs() -> None:
    both = Keyring([KEY, OLD])
    claims = Claims(sub="ada", exp=NOW + 1)
    assert both.verify(mint(claims, OLD).encode(), NOW) == both.verify(mint(claims, KEY).encode(), NOW) == claims
    assert Keyring([KEY]).verify(both.mint(claims).encode(), NOW) == claims
    with pytest.raises(InvalidToken):
        Keyring([KEY]).verify(mint(claims, OLD).encode(), NOW)


@given(st.lists(PATTERN, max_size=4), st.lists(PATTERN, min_size=1, max_size=3))
def test_a_topic_may_be_read_when_each_of_its_patterns_is_covered_by_one(have: list[str], want: list[str]) -> None:
    subjects = [".".join(words) for size in (1, 2, 3, 4) for words in _words(size)]

    def receives(pattern: str, subject: str) -> bool:
        first, _, rest = pattern.partition(".")
        word, _, more = subject.partition(".")
        if first == ">":
            return bool(subject)
        return bool(subject) and first in {"*", word} and (receives(rest, more) if rest else not more)

    taken = {pattern: {subject for subject in subjects if receives(pattern, subject)} for pattern in [*have, *want]}
    covered = all(any(taken[asked] <= taken[mine] for mine in have) for asked in want)
    assert Rights(tuple(have)).may_read(want) == covered


def _words(size: int) -> list[list[str]]:
    return [[]] if size == 0 else [[word, *rest] for word in ("a", "b", "c") for rest in _words(size - 1)]


def test_a_wildcard_within_a_pattern_widens_nothing() -> None:
    assert not Rights(("chat.>.s1",)).may_read(["chat.s2.message"])
    assert not Rights((">.x",)).may_read(["chat.s2.message"])


def test_a_subject_may_be_written_that_a_pattern_matches() -> None:
    rights = Rights(write=("chat.s1.message", "session.s1.>"))
    assert rights.may_write("chat.s1.message")
    assert rights.may_write("session.s1.updated")
    assert not rights.may_write("chat.s2.message")
    assert not rights.may_write("chat.s1.message.ada")


def test_the_readme_shows_how_one_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [block for block in blocks(readme) if block.language == "python" and "tokens import mint" in block.code]
    monkeypatch.setenv("MESH_TOKEN_KEY", KEY.decode())
    (tmp_path / "login.py").write_text(block.code)
    names = runpy.run_path(str(tmp_path / "login.py"))
    assert KEYS.verify(names["token"].encode(), time.time()).mesh.read == ("chat.s1.>", "session.s1.>")


# -- settings ---------------------------------------------------------------------------------------------------------


def test_without_a_key_nobody_authenticates() -> None:
    assert Keyring.load(load(TokenSettings, {})) is None


def test_keys_come_from_a_variable_or_from_a_file(tmp_path: Path) -> None:
    claims = Claims(sub="ada", exp=NOW + 1)
    file = tmp_path / "keys"
    file.write_bytes(b" %b \r\n\n%b" % (KEY, OLD))
    for settings in (
        {"MESH_TOKEN_KEY": KEY.decode(), "MESH_TOKEN_KEY_PREVIOUS": OLD.decode()},
        {"MESH_TOKEN_KEY_FILE": str(file)},
    ):
        ring = Keyring.load(load(TokenSettings, settings))
        assert ring is not None
        assert ring.verify(mint(claims, OLD).encode(), NOW) == claims
        assert ring.mint(claims) == mint(claims, KEY)


@pytest.mark.promise("P-TOKEN-2")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"MESH_TOKEN_KEY": "s3cr3t"}, r"MESH_TOKEN_KEY: .* has 6 bytes and needs 32"),
        ({"MESH_TOKEN_KEY": "s3cr3t" * 6, "MESH_TOKEN_KEY_PREVIOUS": "s3cr3t"}, r"MESH_TOKEN_KEY: .* 6 bytes"),
        ({"MESH_TOKEN_KEY_PREVIOUS": "s3cr3t" * 6}, "MESH_TOKEN_KEY is not"),
        ({"MESH_TOKEN_KEY": "s3cr3t" * 6, "MESH_TOKEN_KEY_FILE": "keys"}, "both set"),
        ({"MESH_TOKEN_KEY_FILE": "no-such-file"}, r"MESH_TOKEN_KEY_FILE: 'no-such-file' cannot be read: No such file"),
    ],
)
def test_what_cannot_be_used_is_refused_by_the_name_of_its_variable(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Keyring.load(load(TokenSettings, settings))
    assert "s3cr3t" not in str(caught.value)


def test_a_file_of_keys_that_has_none_is_refused(tmp_path: Path) -> None:
    many = b"\n".join([b"s3cr3t" * 6] * 9)
    for content, said in (
        (b"\n", "1 to 8 keys, not 0"),
        (many, "not 9"),
        (b"\xff" * 32, "not UTF-8"),
        (b"s3cr3t", "6 bytes"),
    ):
        (tmp_path / "keys").write_bytes(content)
        with pytest.raises(ConfigurationError, match=f"MESH_TOKEN_KEY_FILE: .*{said}") as caught:
            Keyring.load(load(TokenSettings, {"MESH_TOKEN_KEY_FILE": str(tmp_path / "keys")}))
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.promise("P-TOKEN-2")
def test_a_key_is_in_no_repr() -> None:
    settings = load(TokenSettings, {"MESH_TOKEN_KEY": "s3cr3t" * 6})
    ring = Keyring.load(settings)
    assert "s3cr3t" not in f"{settings!r} {settings} {ring!r} {ring}"
