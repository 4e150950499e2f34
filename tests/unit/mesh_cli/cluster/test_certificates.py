from __future__ import annotations

import datetime as dt
import ssl
import stat
from pathlib import Path

import pytest

from daena_mesh.errors import ConfigurationError
from daena_mesh.nats_config import Certificate
from mesh_cli.cluster import certificates
from mesh_cli.cluster.certificates import ensure_certificate


def shake_hands(server: Certificate, trusted: Path, host: str) -> None:
    """Do a TLS handshake in memory; raises `ssl.SSLError` where the client refuses."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(server.certificate, server.key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(trusted)).wrap_bio(to_client, to_server, server_hostname=host)
    other = serving.wrap_bio(to_server, to_client, server_side=True)
    done = [False, False]
    while not all(done):
        for at, side in enumerate((client, other)):
            try:
                side.do_handshake()
                done[at] = True
            except ssl.SSLWantReadError:
                continue


def test_a_client_that_trusts_the_authority_accepts_each_address(tmp_path: Path) -> None:
    made = ensure_certificate(tmp_path, ["127.0.0.1", "10.1.2.3"])
    for host in ("127.0.0.1", "10.1.2.3", "localhost"):
        shake_hands(made, made.authority, host)
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        shake_hands(made, made.authority, "10.1.2.4")


def test_another_authority_is_another_world(tmp_path: Path) -> None:
    made, other = (ensure_certificate(tmp_path / name, ["127.0.0.1"]) for name in ("a", "b"))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(made, other.authority, "127.0.0.1")


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert stat.S_IMODE(ensure_certificate(tmp_path / "tls", ["127.0.0.1"]).key.stat().st_mode) == 0o600


def test_it_is_kept_while_it_covers_everybody_and_renewed_before_it_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def certificate(*addresses: str) -> bytes:
        return ensure_certificate(tmp_path, addresses).certificate.read_bytes()

    first = certificate("127.0.0.1")
    assert certificate("127.0.0.1") == first
    wider = certificate("127.0.0.1", "10.0.0.1")
    assert wider != first
    late = dt.datetime.now(dt.UTC) + dt.timedelta(days=25)
    monkeypatch.setattr(certificates, "_now", lambda: late)
    assert certificate("127.0.0.1") != wider


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'daena-mesh\[cluster\]', or --no-tls"):
        ensure_certificate(tmp_path, ["127.0.0.1"])
