"""Tokens that are signed with private keys: by the algorithm of the key and no other, whatever they say."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import ConfigurationError, InvalidToken
from daena_mesh.public_keys import PublicKeys, read_jwks, read_pem, sign
from daena_mesh.revocations import token_id
from daena_mesh.settings import load
from daena_mesh.tokens import Claims, Keyring, Rights, TokenSettings, mint
from tests.support.signers import ALGORITHMS, Signer

SECRET = "the current key, 32 bytes of it."
SIGNERS = {alg: Signer(alg) for alg in ALGORITHMS}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
every_algorithm = pytest.mark.parametrize("alg", ALGORITHMS)


def ring(**settings: str) -> Keyring:
    keyring = Keyring.load(load(TokenSettings, {f"MESH_{name.upper()}": value for name, value in settings.items()}))
    assert keyring is not None
    return keyring


def believes(keyring: Keyring, shown: str | bytes) -> bool:
    token = shown if isinstance(shown, bytes) else shown.encode()
    try:
        keyring.verify(token, time.time())
    except InvalidToken:
        return False
    return True


def encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def confused(pem: str, alg: str = "HS256", **head: Any) -> bytes:
    """Sign by HMAC, with a public key for a secret."""
    claims = {"sub": "eve", "exp": time.time() + 600, "mesh": {"read": [">"]}}
    text = encoded(json.dumps({"alg": alg, **head}).encode()) + b"." + encoded(json.dumps(claims).encode())
    return text + b"." + encoded(hmac.digest(pem.encode(), text, "sha256"))


@pytest.mark.promise("P-TOKEN-9")
@every_algorithm
def test_a_public_key_is_a_variable_or_a_file(alg: str, tmp_path: Path) -> None:
    signer, other = SIGNERS[alg], Signer(alg)
    (tmp_path / "keys.pem").write_text(f"{signer.public_pem}\n{other.public_pem}")
    in_one_line = signer.public_pem.replace("\n", "\\n")
    for settings in ({"token_key": signer.public_pem}, {"token_key": in_one_line}):
        assert believes(ring(**settings), signer.token())
        assert not believes(ring(**settings), other.token())
    both = ring(token_key_file=str(tmp_path / "keys.pem"))
    assert believes(both, signer.token(mesh={"read": ["chat.>"]}))
    assert believes(both, other.token())
    claims = both.verify(other.token(mesh={"read": ["chat.>"]}).encode(), time.time())
    assert claims.mesh == Rights(("chat.>",))


def test_secrets_and_public_keys_count_beside_each_other() -> None:
    signer = SIGNERS["ES256"]
    both = ring(token_key=signer.public_pem, token_key_previous=SECRET)
    assert believes(both, signer.token())
    assert believes(both, both.mint(Claims(sub="ada", exp=time.time() + 60)))
    assert not believes(both, confused(signer.public_pem))
    alone = ring(token_key=signer.public_pem)
    with pytest.raises(ConfigurationError, match="private key"):
        alone.mint(Claims(sub="ada", exp=1))


@pytest.mark.promise("P-TOKEN-9")
@every_algorithm
def test_a_public_key_is_no_secret(alg: str) -> None:
    """The classic confusion: a token that is signed by HMAC, with the very text of the public key."""
    pem = SIGNERS[alg].public_pem
    keyring = ring(token_key=pem)
    for text in (pem, pem.strip(), pem.replace("\n", "\\n"), pem + "\n", "".join(pem.splitlines()[1:-1])):
        for said in ("HS256", "HS512", alg, "none", "None", ""):
            assert not believes(keyring, confused(text, said))


@pytest.mark.promise("P-TOKEN-9")
@every_algorithm
def test_no_other_algorithm_and_nothing_unsigned_is_believed(alg: str) -> None:
    signer = SIGNERS[alg]
    keyring = ring(token_key=signer.public_pem)
    head, body, signature = signer.token().encode().split(b".")
    assert believes(keyring, b".".join([head, body, signature]))
    for said in ("none", "None", "NONE", "HS256", "PS256", "RS512", "ES384", "ES256K", "EdDSA", "RS256", "ES256", None):
        if said != alg:
            other = encoded(json.dumps({"alg": said, "typ": "JWT"}).encode())
            assert not believes(keyring, b".".join([other, body, signature]))
            assert not believes(keyring, b".".join([other, body, b""]))
    assert not believes(keyring, b".".join([head, body, b""]))
    for other_alg in ALGORITHMS:
        assert not believes(keyring, Signer(other_alg).token())


@pytest.mark.promise("P-TOKEN-9")
@every_algorithm
@pytest.mark.parametrize(
    "head",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": None},
        {"crit": ["b64"], "b64": True},
        {"kid": 7},
        {"kid": ["k"]},
    ],
    ids=json.dumps,
)
def test_a_head_that_asks_for_what_is_not_understood_is_refused(alg: str, head: dict[str, Any]) -> None:
    signer = SIGNERS[alg]
    said = encoded(json.dumps({"alg": alg, **head}).encode())
    text = said + b"." + signer.token().encode().split(b".")[1]
    whole = text + b"." + encoded(jwt.get_algorithm_by_name(alg).sign(text, signer.key))
    keyring = ring(token_key=signer.public_pem)
    assert believes(keyring, signer.token())
    assert not believes(keyring, whole)


@every_algorithm
def test_a_key_that_a_token_brings_along_is_not_looked_at(alg: str) -> None:
    eve = Signer(alg)
    keyring = ring(token_key=SIGNERS[alg].public_pem)
    for head in ({"jwk": eve.jwk}, {"jku": "http://127.0.0.1:9/"}, {"x5u": "http://127.0.0.1:9/"}, {"x5c": ["x"]}):
        assert not believes(keyring, eve.token(head=head))


@pytest.mark.promise("P-TOKEN-9")
@every_algorithm
@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": None}, "does not say what it must"),
        ({"exp": "4102444800"}, "does not say what it must"),
        ({"sub": None}, "does not say what it must"),
        ({"sub": 7}, "does not say what it must"),
        ({"mesh": []}, "does not say what it must"),
        ({"lives_s": -1}, "expired"),
        ({"nbf": 4_102_444_799}, "not valid yet"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "other"}, "another audience"),
        ({"aud": ["other", "mesh2"]}, "another audience"),
        ({"aud": []}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"aud": 7}, "does not say what it must"),
    ],
    ids=str,
)
def test_claims_are_held_to_the_same_rules(alg: str, claims: dict[str, Any], said: str) -> None:
    ours: dict[str, Any] = {"iss": "https://login.example", "aud": "mesh"}
    signer = SIGNERS[alg]
    keyring = ring(token_key=signer.public_pem, token_issuer=ours["iss"], token_audience="mesh")
    assert believes(keyring, signer.token(**ours))
    assert believes(keyring, signer.token(**{**ours, "aud": ["other", "mesh"]}))
    with pytest.raises(InvalidToken, match=said):
        keyring.verify(signer.token(**{**ours, **claims}).encode(), time.time())


@pytest.mark.promise("P-TOKEN-9")
def test_secrets_are_held_to_issuer_and_audience_too() -> None:
    now = time.time()
    keyring = ring(token_key=SECRET, token_issuer="us", token_audience="mesh")
    assert keyring.verify(keyring.mint(Claims(sub="ada", exp=now + 60)).encode(), now).iss == "us"
    for claims in ({"iss": "us"}, {"aud": "mesh"}, {"iss": "us", "aud": "other"}, {"iss": "them", "aud": "mesh"}):
        assert not believes(keyring, mint({"sub": "ada", "exp": now + 60, **claims}, SECRET.encode()))
    plain = ring(token_key=SECRET)
    assert believes(plain, mint({"sub": "ada", "exp": now + 60, "iss": "them"}, SECRET.encode()))
    for aud in ("mesh", ["mesh"]):  # RFC 7519, section 4.1.3: who is not named is not meant
        assert not believes(plain, mint({"sub": "ada", "exp": now + 60, "aud": aud}, SECRET.encode()))


@given(st.data())
def test_no_byte_can_be_changed_and_nothing_else_raises(data: st.DataObject) -> None:
    alg = data.draw(st.sampled_from(ALGORITHMS))
    keyring, whole = RINGS[alg], TOKENS[alg]
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    assert believes(keyring, whole)
    assert not believes(keyring, whole[:at] + bytes([byte]) + whole[at + 1 :])
    assert not believes(keyring, data.draw(st.binary(max_size=60)) + whole[at + 1 :])


RINGS = {alg: Keyring([], public=PublicKeys([read_pem(signer.public_pem)])) for alg, signer in SIGNERS.items()}
TOKENS = {alg: signer.token().encode() for alg, signer in SIGNERS.items()}


def test_the_other_signature_of_a_curve_is_of_the_same_revoked_token() -> None:
    """To each signature (r, s) there is (r, -s), which anybody can compute."""
    signer = SIGNERS["ES256"]
    text, _, signature = signer.token().rpartition(".")
    raw = urlsafe_b64decode(signature + "==")
    s = P256_ORDER - int.from_bytes(raw[32:])
    assert decode_dss_signature(encode_dss_signature(int.from_bytes(raw[:32]), s))[1] == s
    other = f"{text}.{encoded(raw[:32] + s.to_bytes(32)).decode()}"
    assert believes(RINGS["ES256"], other)
    assert token_id(other) == token_id(f"{text}.{signature}") != ""


def test_signatures_are_taken_in_one_spelling_only() -> None:
    for alg, signer in SIGNERS.items():
        whole = signer.token().encode()
        for other in (whole + b"=", whole + b"==", whole[:-1] + b"\n" + whole[-1:], whole + b"."):
            assert not believes(RINGS[alg], other)


# -- what is configured ------------------------------------------------------------------------------------------------


@pytest.mark.promise("P-TOKEN-2")
@pytest.mark.parametrize(
    ("key", "said"),
    [
        (SIGNERS["RS256"].private_pem, "is a private key"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "is a certificate"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "no public key in PEM"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA", "whole blocks of PEM"),
        ("AAAA\n-----END PUBLIC KEY-----", "whole blocks of PEM"),
        (f"{SIGNERS['ES256'].public_pem} {SECRET}", "whole blocks of PEM"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGqcTm7Q", "in another form than PEM"),
        (json.dumps(SIGNERS["EdDSA"].jwk), "in another form than PEM"),
    ],
    ids=["private", "certificate", "no-key", "cut", "tail", "mixed", "ssh", "jwk"],
)
def test_what_looks_like_a_key_of_another_kind_is_never_taken_for_a_secret(key: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^MESH_TOKEN_KEY: .*{said}") as caught:
        ring(token_key=key)
    assert key.split("\n")[1 if "\n" in key else 0][:20] not in str(caught.value)


def test_weak_and_unknown_keys_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="1024 bits"):
        ring(token_key=Signer("RS256", bits=1_024).public_pem)
    for key in (ec.generate_private_key(ec.SECP384R1()), ed448.Ed448PrivateKey.generate()):
        signer = SIGNERS["ES256"]
        other = Signer("ES256")
        other.key = key
        with pytest.raises(ConfigurationError, match="neither RSA nor P-256 nor Ed25519"):
            ring(token_key=other.public_pem)
        assert believes(ring(token_key=signer.public_pem), signer.token())


def test_of_a_set_only_public_keys_for_signatures_are_taken() -> None:
    good = Signer("ES256", "good")
    secret = {"kty": "oct", "k": encoded(SECRET.encode()).decode(), "kid": "s", "alg": "HS256"}
    others = [
        secret,
        {**secret, "alg": "ES256"},
        {**good.jwk, "use": "enc"},
        {**good.jwk, "alg": "RS256"},
        {**good.jwk, "key_ops": ["sign"]},
        {**good.jwk, "kid": 7},
        {**good.jwk, "x": "AAAA"},
        {**good.jwk, "d": "AAAA"},
        {"kty": "RSA"},
        Signer("RS256", "weak", bits=1_024).jwk,
        "key",
        None,
    ]
    assert [key.kid for key in read_jwks(json.dumps({"keys": [*others, good.jwk]}).encode())] == ["good"]
    for wrong in (b"", b"[]", b"null", b'{"keys":{}}', b'{"keys":[]}', b"\xff", json.dumps({"keys": others}).encode()):
        with pytest.raises(ValueError, match="set"):
            read_jwks(wrong)


def test_a_key_that_is_named_is_the_only_one_that_is_tried() -> None:
    one, two = Signer("ES256", "one"), Signer("ES256", "two")
    keyring = Keyring([], public=PublicKeys(read_jwks(json.dumps({"keys": [one.jwk, two.jwk]}).encode())))
    assert believes(keyring, one.token())
    assert believes(keyring, two.token())
    assert not believes(keyring, one.token(head={"kid": "two"}))
    assert not believes(keyring, one.token(head={"kid": "three"}))
    assert not believes(keyring, Signer("ES256", "one").token())
    one.kid = None
    assert believes(keyring, one.token())


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_file_of_secrets_that_others_may_read_is_warned_of(
    mode: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text in (("secret", SECRET), ("public", SIGNERS["ES256"].public_pem)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
        ring(token_key_file=str(tmp_path / name))
        ring(token_key_file=str(tmp_path / name))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (mode != 0o600)
    assert all("chmod 600" in text and SECRET not in text for text in told)


@every_algorithm
def test_a_private_key_signs_with_the_algorithm_of_its_kind(alg: str) -> None:
    claims = Claims(sub="ada", exp=time.time() + 60, mesh=Rights((">",)))
    signed = sign(claims, SIGNERS[alg].private_pem.encode())
    assert RINGS[alg].verify(signed.encode(), time.time()) == claims


def test_a_private_key_that_cannot_be_used_says_why() -> None:
    key = SIGNERS["ES256"].key
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cr3t"))
    for pem, said in (
        (locked, "encrypted"),
        (b"x", "no private key"),
        (SIGNERS["ES256"].public_pem.encode(), "no pri"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            sign(Claims(sub="ada", exp=1), pem)
