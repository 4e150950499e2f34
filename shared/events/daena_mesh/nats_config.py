"""The configuration file of the embedded nats-server, and the ports file it answers with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from daena_mesh.errors import NatsServerError

MAX_PAYLOAD_BYTES = 1024 * 1024
LOG_SIZE_LIMIT_BYTES = 8 * 1024 * 1024
LOG_FILES_KEPT = 3

# "-1" lets the server choose a free port, so none is guessed and then lost to somebody else.
_ANY_PORT = -1

_DURABLE = (
    "    # An acknowledged record survives a power cut; the default syncs every two minutes.",
    "    sync_interval: always",
)


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Whose credentials a server takes: JWTs, none of them a secret.

    Attributes:
        operator: the JWT of who is trusted.
        system_account: the public key of the account in which the servers tell of themselves.
        accounts: the JWTs of the accounts by their public keys.
    """

    operator: str
    system_account: str
    accounts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Files in PEM with which a server shows who it is, to clients and to its peers."""

    certificate: Path
    key: Path
    authority: Path
    """Who signed it, and signs those of the peers."""


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A server's place in a cluster.

    Attributes:
        name: the server's own, another one for each.
        cluster: the cluster's name.
        route_port: where peers reach it, on the address that clients use.
        routes: where it looks for its peers, such as ``127.0.0.1:6222``; itself among them is no harm.
        monitoring_port: where `/varz` and the like are; 0 takes a free one.
        certificate: with it, all that passes between servers, and to clients, is encrypted.
    """

    name: str
    cluster: str
    route_port: int
    routes: Sequence[str]
    monitoring_port: int = 0
    certificate: Certificate | None = None


@dataclass(frozen=True, kw_only=True)
class NatsConfig:
    """What the embedded server is told.

    Attributes:
        data_dir: where the streams, the configuration and the log live.
        host: address to listen on, for clients and for monitoring.
        port: port for clients; 0 takes a free one.
        log_path: the server's log, rotated at 8 MiB, three files kept.
        accounts: accounts apart from each other, each with a user of its name: the passwords by name. Without any,
            whoever reaches the server may do everything.
        trust: takes credentials that this operator stands behind, and nobody else.
        is_durable: what was acknowledged survives a power cut; tests do without.
        membership: makes it one of several servers.
    """

    data_dir: Path
    host: str
    port: int
    log_path: Path
    accounts: Mapping[str, str] = field(default_factory=dict)
    trust: Trust | None = None
    is_durable: bool = True
    membership: Membership | None = None

    @property
    def path(self) -> Path:
        """Where the file is written."""
        return self.data_dir / "nats-server.conf"

    @property
    def ports_dir(self) -> Path:
        """Where the server writes ``<binary>_<pid>.ports`` once it listens."""
        return self.data_dir / "run"

    @property
    def running_path(self) -> Path:
        """What stands there from a start until the server has ended well."""
        return running_path(self.data_dir)

    def render(self) -> str:
        """Return the file's text, in the syntax of nats-server's configuration.

        Raises:
            NatsServerError: a path holds a control character, which that syntax cannot carry.
        """
        return "\n".join(
            [
                "# Written by daena-mesh at every start; changes made here are lost.",
                f"server_name: {_quoted(self.membership.name if self.membership else 'daena-mesh')}",
                f"host: {_quoted(self.host)}",
                f"port: {self.port or _ANY_PORT}",
                f"http: {_quoted(f'{_bracketed(self.host)}:{self._monitoring_port}')}",
                f"max_payload: {MAX_PAYLOAD_BYTES}",
                f"ports_file_dir: {_quoted(str(self.ports_dir))}",
                f"log_file: {_quoted(str(self.log_path))}",
                f"log_size_limit: {LOG_SIZE_LIMIT_BYTES}",
                f"log_max_num: {LOG_FILES_KEPT}",
                "jetstream {",
                f"    store_dir: {_quoted(str(self.data_dir))}",
                *(_DURABLE if self.is_durable else ()),
                "}",
                *(self._accounts() if self.accounts else ()),
                *(trusting(self.trust, str(self.data_dir / "jwt")) if self.trust else ()),
                *(self._clustered(self.membership) if self.membership else ()),
                "",
            ]
        )

    @property
    def _monitoring_port(self) -> int:
        return (self.membership.monitoring_port if self.membership else 0) or _ANY_PORT

    def _clustered(self, own: Membership) -> list[str]:
        routes = ", ".join(_quoted(f"nats://{route}") for route in own.routes)
        return [
            *(_tls(own.certificate, "") if own.certificate else ()),
            "cluster {",
            f"    name: {_quoted(own.cluster)}",
            f"    listen: {_quoted(f'{_bracketed(self.host)}:{own.route_port}')}",
            f"    routes: [{routes}]",
            "    # A peer that answers nothing is noticed after four seconds; by default that takes minutes.",
            "    ping_interval: 1s",
            "    ping_max: 3",
            *(_tls(own.certificate, "    ") if own.certificate else ()),
            "}",
        ]

    def _accounts(self) -> list[str]:
        users = ((_quoted(name), _quoted(secret)) for name, secret in self.accounts.items())
        lines = (f"    {n} {{ jetstream: enabled, users: [{{ user: {n}, password: {s} }}] }}" for n, s in users)
        return ["accounts {", *lines, "}"]


def trusting(trust: Trust, jwt_dir: str) -> list[str]:
    """Return the lines by which a server takes the credentials of ``trust``, and keeps what it is told of accounts.

    Raises:
        NatsServerError: ``jwt_dir`` holds a control character.
    """
    return [
        f"operator: {_quoted(trust.operator)}",
        f"system_account: {trust.system_account}",
        "resolver {",
        "    type: full",
        f"    dir: {_quoted(jwt_dir)}",
        '    interval: "2m"',
        "}",
        "resolver_preload {",
        *(f"    {account}: {_quoted(jwt)}" for account, jwt in trust.accounts.items()),
        "}",
    ]


def _tls(certificate: Certificate, indent: str) -> list[str]:
    """Clients are shown the certificate; peers have to show one, too, which is what nats-server asks of routes."""
    return [
        f"{indent}tls {{",
        f"{indent}    cert_file: {_quoted(str(certificate.certificate))}",
        f"{indent}    key_file: {_quoted(str(certificate.key))}",
        f"{indent}    ca_file: {_quoted(str(certificate.authority))}",
        f"{indent}    timeout: 5",
        f"{indent}}}",
    ]


def running_path(data_dir: Path) -> Path:
    """Where a data directory says that a server runs in it, or was cut off."""
    return data_dir / "nats-server.running"


@dataclass(frozen=True)
class Ports:
    """Where a server that is ready can be reached."""

    pid: int
    port: int
    monitoring_port: int


def read_ports(directory: Path) -> Ports | None:
    """Read the ports file of the server that uses ``directory``.

    Returns:
        The ports, or None while the file is absent or half written.
    """
    for path in directory.glob("*.ports"):
        try:
            listed = json.loads(path.read_bytes())
            return Ports(
                pid=int(path.stem.rpartition("_")[2]),
                port=_port_of(listed["nats"]),
                monitoring_port=_port_of(listed["monitoring"]),
            )
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return None


def client_url(host: str, port: int) -> str:
    """Return the URL with which a client on this machine reaches a server listening on ``host``."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"nats://{_bracketed(reachable)}:{port}"


def _port_of(urls: list[str]) -> int:
    port = urlsplit(urls[0]).port
    if port is None:
        raise ValueError("a ports file without a port")
    return port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _quoted(text: str) -> str:
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise NatsServerError(f"{text!r} holds a control character: choose another --data-dir")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
