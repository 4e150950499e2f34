from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import nkeys
import pytest

from daena_mesh.credentials import inbox_of, read_credentials
from daena_mesh.errors import ConfigurationError, InvalidId
from daena_mesh.nats_claims import claims_of, creds_text, user_in
from daena_mesh.nats_keys import KeyPair
from daena_mesh.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.create(tmp_path / "mesh" / "creds")


def jwt_in(path: Path) -> str:
    return path.read_text().splitlines()[1]


@pytest.mark.promise("P-CREDS-1")
def test_all_of_it_is_for_its_owner_alone(vault: Vault) -> None:
    old = os.umask(0)
    try:
        vault.mint("agent", "scout")
    finally:
        os.umask(old)
    for path in [vault.folder, *vault.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.promise("P-CREDS-1")
def test_nothing_is_overwritten_and_nothing_half_made_stays(vault: Vault) -> None:
    before = {path: path.read_bytes() for path in vault.folder.rglob("*") if path.is_file()}
    with pytest.raises(ConfigurationError, match="is there already, and nothing in it is overwritten"):
        Vault.create(vault.folder)
    assert {path: path.read_bytes() for path in vault.folder.rglob("*") if path.is_file()} == before
    assert list(vault.folder.parent.iterdir()) == [vault.folder]


def test_without_keys_the_sentence_says_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`mesh creds init` makes them"):
        Vault.open(tmp_path)


def test_an_agents_claims_hold_no_rights_of_its_own(vault: Vault) -> None:
    path = vault.mint("agent", "Scout", sessions=["S1", "s2"], departments=["hr"]).path
    claims = claims_of(jwt_in(path))
    assert claims["name"] == "Scout"
    assert claims["nats"] == {
        "version": 2,
        "type": "user",
        "issuer_account": (vault.folder / "keys" / "app.pub").read_text().strip(),
        "tags": ["role:agent", "session:S1", "session:s2", "department:hr"],
    }
    signed, _, signature = jwt_in(path).rpartition(".")
    pair = nkeys.from_seed(bytearray((vault.folder / "keys" / "agent.nk").read_bytes().strip()))
    assert pair.verify(signed.encode(), base64.urlsafe_b64decode(signature + "=="))
    assert claims["iss"] == pair.public_key.decode()
    assert inbox_of(read_credentials(path)) == "_INBOX_Scout"


@pytest.mark.promise("P-CREDS-2")
@pytest.mark.parametrize("name", ["*", ">", "a.b", "", "NAMES", "LIST", "a b", "x" * 65, "{{name()}}", "a\n"])
def test_a_name_that_would_widen_rights_is_refused(vault: Vault, name: str) -> None:
    for role in ("agent", "ops", "api"):
        with pytest.raises(InvalidId):
            vault.mint(role, name)
    with pytest.raises(InvalidId):
        vault.mint("agent", "scout", sessions=[name])
    with pytest.raises(InvalidId):
        vault.mint("agent", "scout", departments=[name])
    assert vault.users() == {}


@pytest.mark.parametrize(
    ("role", "name", "sentence"),
    [
        ("agent", "scout", "scout has credentials already: --renew makes new ones"),
        ("agent", "SCOUT", "there is scout already, which differs from SCOUT by case alone"),
        ("ops", "scout", "scout is the name of agent credentials already"),
        ("agent", "api", "api is the name of a service"),
        ("ops", "System", "System is the name of a service"),
    ],
)
def test_a_name_is_one_users(vault: Vault, role: str, name: str, sentence: str) -> None:
    vault.mint("agent", "scout")
    with pytest.raises(ConfigurationError, match=sentence):
        vault.mint(role, name)
    assert set(vault.users()) == {"scout"}


def test_who_was_renewed_is_revoked_with_all_keys_and_may_come_back(vault: Vault) -> None:
    first = user_in(vault.mint("agent", "scout").path.read_text()).public
    second = user_in(vault.mint("agent", "scout", renew=True).path.read_text()).public
    jwt = vault.revoke("scout")
    assert set(claims_of(jwt)["nats"]["revocations"]) == {first, second}
    assert vault.trust().accounts[claims_of(jwt)["sub"]] == jwt
    assert not vault.path_of("scout").exists()
    assert set(claims_of(vault.revoke("scout"))["nats"]["revocations"]) == {first, second}
    third = user_in(vault.mint("agent", "scout").path.read_text()).public
    assert not vault.users()["scout"].is_revoked
    assert third not in claims_of(vault.revoke("scout"))["nats"]["revocations"].keys() - {third}


def test_minting_needs_its_signing_key_alone(vault: Vault) -> None:
    for path in (vault.folder / "keys").glob("*.nk"):
        if path.stem != "agent":
            path.unlink()
    vault.mint("agent", "scout")
    with pytest.raises(ConfigurationError, match=r"keys/api\.nk cannot be read"):
        vault.mint("api", "api")
    with pytest.raises(ConfigurationError, match=r"keys/operator\.nk cannot be read"):
        vault.revoke("scout")


def test_who_was_never_there_cannot_be_revoked(vault: Vault) -> None:
    with pytest.raises(ConfigurationError, match="no credentials were made for 'nobody'"):
        vault.revoke("nobody")


def test_a_services_credentials_are_made_once(vault: Vault) -> None:
    path = vault.ensure("edge")
    made = path.read_text()
    assert vault.ensure("edge").read_text() == made
    path.unlink()
    assert vault.ensure("edge").read_text() != made
    assert inbox_of(read_credentials(path)) == "_INBOX.edge-edge"
    vault.revoke("edge")
    assert vault.ensure("edge").exists()


@pytest.mark.parametrize("text", ["", "nonsense", creds_text("a.b.c", "SU"), creds_text("a.e30.c", "SU"), "\x00"])
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.creds").write_text(text)
    with pytest.raises(ConfigurationError, match=r"the credentials in .*c\.creds cannot be read: "):
        read_credentials(tmp_path / "c.creds")
    with pytest.raises(ConfigurationError, match="No such file"):
        read_credentials(tmp_path / "d.creds")


def test_without_the_packages_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daena_mesh.nats_keys.find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'daena-mesh\[creds\]'"):
        read_credentials("any")


def test_a_seed_that_is_none_is_refused() -> None:
    for seed in ("", "SUnonsense", KeyPair.new("user").seed[:20]):
        with pytest.raises(ConfigurationError, match="holds no seed of NATS"):
            KeyPair(seed)
