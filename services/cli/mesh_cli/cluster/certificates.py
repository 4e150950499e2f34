"""Certificates for the servers of a cluster: an authority of its own, and one that covers all their addresses.

For trying and testing: the authority's key is thrown away, so nobody can add a server later.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from daena_mesh.errors import ConfigurationError
from daena_mesh.nats_config import Certificate

if TYPE_CHECKING:
    from cryptography import x509

_DAY = dt.timedelta(days=1)
_VALID = 30 * _DAY
_RENEWED_BEFORE = 7 * _DAY


def ensure_certificate(folder: Path, addresses: Sequence[str]) -> Certificate:
    """Find the certificate in ``folder``, or make one that covers ``addresses`` where there is none that does for long.

    Raises `ConfigurationError` where the package for it is missing.
    """
    if find_spec("cryptography") is None:
        raise ConfigurationError(
            "a cluster with TLS needs cryptography: pip install 'daena-mesh[cluster]', or --no-tls"
        )
    files = Certificate(certificate=folder / "node.pem", key=folder / "node.key", authority=folder / "ca.pem")
    if not _is_good(files, addresses):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(files, addresses)
    return files


def _is_good(files: Certificate, addresses: Sequence[str]) -> bool:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        covered = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
        is_fresh = found.not_valid_after_utc - _now() > _RENEWED_BEFORE
        return is_fresh and covered >= set(addresses) and files.key.exists() and files.authority.exists()
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False


def _make(files: Certificate, addresses: Sequence[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def begun(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(named("daena-mesh cluster"))
            .subject_name(subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_now() - _DAY)
            .not_valid_after(_now() + _VALID)
        )

    signer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    known = x509.SubjectKeyIdentifier.from_public_key(signer.public_key())
    authority = (
        begun(named("daena-mesh cluster"), signer.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(known, critical=False)
        .sign(signer, hashes.SHA256())
    )
    own = (
        begun(named("daena-mesh node"), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        # Servers are clients of each other, and show the same certificate then.
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(each)) for each in addresses)]
            ),
            critical=False,
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known), critical=False)
        .sign(signer, hashes.SHA256())
    )
    files.key.touch(mode=0o600)
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files.certificate.write_bytes(own.public_bytes(Encoding.PEM))
    files.authority.write_bytes(authority.public_bytes(Encoding.PEM))


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
