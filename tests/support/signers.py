"""Who signs tokens with a private key, and where they publish the public ones: a real HTTP server."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ALGORITHMS = ("RS256", "ES256", "EdDSA")


class Signer:
    """One private key."""

    def __init__(self, alg: str, kid: str | None = None, *, bits: int = 2_048) -> None:
        self.alg = alg
        self.kid = kid
        self.key: Any
        if alg == "RS256":
            self.key = rsa.generate_private_key(65_537, bits)
            said: Any = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        elif alg == "ES256":
            self.key = ec.generate_private_key(ec.SECP256R1())
            said = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        else:
            self.key = ed25519.Ed25519PrivateKey.generate()
            said = OKPAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        self.jwk: dict[str, Any] = {key: value for key, value in said.items() if key != "key_ops"}
        self.jwk |= {"use": "sig", "alg": alg} | ({} if kid is None else {"kid": kid})

    @property
    def public_pem(self) -> str:
        """The public key, as services have it."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        pem: bytes = self.key.public_key().public_bytes(serialization.Encoding.PEM, form)
        return pem.decode()

    @property
    def private_pem(self) -> str:
        """The private key, as `mesh token --key-file` has it."""
        none, form = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
        pem: bytes = self.key.private_bytes(serialization.Encoding.PEM, form, none)
        return pem.decode()

    def token(self, *, head: dict[str, Any] | None = None, lives_s: float = 3_600, **claims: Any) -> str:
        """Sign by another library's way; a claim of None is left out.

        It lives an hour: some are made when tests are collected, and are shown when all the others have run.
        """
        said = {"sub": "ada", "exp": time.time() + lives_s, **claims}
        heads = ({} if self.kid is None else {"kid": self.kid}) | (head or {})
        body = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(body, self.key, self.alg, headers=heads)


class KeyServer:
    """Answers what it is told to, to everybody who asks."""

    def __init__(self) -> None:
        self.answer = b""
        self.asked: list[bytes] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.ends = True
        """Whether it closes the connection behind its answer."""
        self.tls: ssl.SSLContext | None = None
        """With it, what it listens for is TLS."""
        self._server: asyncio.Server
        self._port = 0

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._port}/jwks.json"

    def publish(self, *signers: Signer) -> None:
        """Show these keys and no others."""
        self.say(json.dumps({"keys": [signer.jwk for signer in signers]}).encode())

    def say(self, body: bytes, status: str = "200 OK", **headers: str) -> None:
        """Answer this."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines, "", ""])
        self.answer = head.encode() + body

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self.tls)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be away."""
        self._server.close()
        self.may_answer.set()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            await self.may_answer.wait()
            writer.write(self.answer)
            await writer.drain()
            if not self.ends:
                await reader.read()
        writer.close()


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for 127.0.0.1: for a server, and as the file of whom a client believes."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")]),
        dt.datetime.now(dt.UTC),
    )
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return context, public


@asynccontextmanager
async def key_server(*signers: Signer, tls: ssl.SSLContext | None = None) -> AsyncIterator[KeyServer]:
    """Publish the keys of ``signers``."""
    server = KeyServer()
    server.tls = tls
    server.publish(*signers)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
