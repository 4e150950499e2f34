"""The directory where the keys of a mesh are kept, and the credentials that were made with them.

    keys/<role>.nk      seeds: the operator, the accounts, and a signing key for each role
    jwt/<account>.jwt   what servers are told: operator, system, app
    users/<name>.creds  what a process is given to connect with
    users.json          who there is, with which keys, and which of them were revoked

Everything is for its owner alone. To mint, one needs the signing key of that role and the registry; to revoke, the key
of the operator.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import msgspec

from daena_mesh import nats_claims
from daena_mesh.errors import ConfigurationError
from daena_mesh.layout import Layout
from daena_mesh.nats_config import Trust
from daena_mesh.nats_keys import KeyPair
from daena_mesh.permissions import AGENT, OPS, ROLES, tags_of, templates
from daena_mesh.subjects import check_name

_RESERVED = frozenset({*ROLES, "system"})
_SEEDS = ("operator", "system", "app")


class Entry(msgspec.Struct, kw_only=True):
    """A user: the keys that count, and those that no longer do, with the time up to which they were revoked."""

    role: str
    sessions: list[str] = []
    departments: list[str] = []
    keys: list[str] = []
    revoked: dict[str, int] = {}

    @property
    def is_revoked(self) -> bool:
        """Whether none of its keys counts any more."""
        return not self.keys


class _Registry(msgspec.Struct):
    subjects: str = ""
    users: dict[str, Entry] = {}


class Minted(NamedTuple):
    """Credentials that were just made."""

    name: str
    path: Path


class Vault:
    """The keys in a directory."""

    def __init__(self, folder: Path) -> None:
        """Use `open` or `create`."""
        self.folder = folder

    @classmethod
    def open(cls, folder: Path) -> Vault:
        """The vault in ``folder``; raises `ConfigurationError` where there is none."""
        folder = folder.absolute()
        if not (folder / "users.json").exists():
            raise ConfigurationError(f"there are no keys in {folder}; `mesh creds init` makes them")
        return cls(folder)

    @classmethod
    def create(cls, folder: Path, subjects: str = "") -> Vault:
        """Make all keys, in ``folder``, at once or not at all; raises `ConfigurationError` where something is there.

        ``subjects`` are those that the mesh takes beyond its own, as in ``MESH_SUBJECTS``: services may publish them.
        """
        folder = folder.absolute()
        Layout.from_setting(subjects)
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=".creds-", dir=folder.parent))
        except OSError as error:
            raise ConfigurationError(f"{folder} cannot be made: {error.strerror}") from None
        try:
            _fill(unfinished, subjects)
            if folder.exists() and any(folder.iterdir()):
                raise ConfigurationError(f"{folder} is there already, and nothing in it is overwritten")
            unfinished.rename(folder)
        except OSError as error:
            raise ConfigurationError(f"{folder} cannot be made: {error.strerror}") from None
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return cls(folder)

    def users(self) -> dict[str, Entry]:
        """Who there is, by name."""
        return self._registry().users

    def path_of(self, name: str) -> Path:
        """Where the credentials of a user are."""
        return self.folder / "users" / f"{name}.creds"

    def mint(
        self,
        role: str,
        name: str,
        *,
        sessions: Sequence[str] = (),
        departments: Sequence[str] = (),
        agents: Sequence[str] = (),
        ttl_s: int = 0,
        renew: bool = False,
    ) -> Minted:
        """Make credentials for ``name``, which nothing but a server that trusts the operator has to know of.

        They count for ``ttl_s`` seconds, or for ever. To ``renew`` makes other ones in the same place: whoever is
        connected with those before stays connected. Raises `InvalidId`, and `ConfigurationError` where the name is
        taken.
        """
        check_name(name, "the name")
        for session in sessions:
            check_name(session, "the session")
        for department in departments:
            check_name(department, "the department")
        for agent in agents:
            check_name(agent, "the agent")
        if role in {AGENT, OPS} and name.lower() in _RESERVED:
            raise ConfigurationError(f"{name} is the name of a service: choose another")
        with self._changing() as registry:
            entry = self._entry(registry, role, name, renew=renew)
            pair = KeyPair.new("user")
            entry.keys.append(pair.public)
            entry.sessions, entry.departments = list(sessions), list(departments)
            self._keep(registry)  # first: a key that nobody knows of could not be revoked
            at, tags = int(time.time()), tags_of(role, sessions, departments, agents)
            claims = nats_claims.user_claims(name, self._public("app"), tags, at + ttl_s if ttl_s else 0)
            jwt = nats_claims.signed(claims, pair.public, self._pair(role), at)
            _write(self.path_of(name), nats_claims.creds_text(jwt, pair.seed))
        return Minted(name, self.path_of(name))

    def ensure(self, role: str) -> Path:
        """The credentials of a service named as its role, made where there are none."""
        entry = self.users().get(role)
        if entry is None or entry.is_revoked or not self.path_of(role).exists():
            self.mint(role, role, renew=entry is not None and not entry.is_revoked)
        return self.path_of(role)

    def revoke(self, name: str) -> str:
        """Have nothing that was minted for ``name`` count any more; gives the account's JWT, for the servers.

        Safe to repeat. Raises `ConfigurationError` for a name that nobody has, or without the operator's key.
        """
        operator = self._pair("operator")
        with self._changing() as registry:
            if (entry := registry.users.get(name)) is None:
                raise ConfigurationError(f"no credentials were made for {name[:64]!r}; `mesh creds list` shows all")
            entry.revoked.update(dict.fromkeys(entry.keys, int(time.time()) + 1))
            entry.keys.clear()
            self._keep(registry)
            self.path_of(name).unlink(missing_ok=True)
            jwt = self._app_jwt(registry, operator)
            _write(self.folder / "jwt" / "app.jwt", jwt)
        return jwt

    def trust(self) -> Trust:
        """What a server has to be told; raises `ConfigurationError`."""
        system, app = self._public("system"), self._public("app")
        return Trust(
            operator=self._read("jwt/operator.jwt"),
            system_account=system,
            accounts={system: self._read("jwt/system.jwt"), app: self._read("jwt/app.jwt")},
        )

    @property
    def system_creds(self) -> Path:
        """The credentials of whoever may talk to the servers themselves."""
        return self.folder / "system.creds"

    # -- files --------------------------------------------------------------------------------------------------

    def _entry(self, registry: _Registry, role: str, name: str, *, renew: bool) -> Entry:
        same = next((known for known in registry.users if known.lower() == name.lower()), name)
        entry = registry.users.setdefault(same, Entry(role=role))
        if same != name:  # on some machines both would be one file
            raise ConfigurationError(f"there is {same} already, which differs from {name} by case alone")
        if entry.role != role:
            raise ConfigurationError(f"{name} is the name of {entry.role} credentials already: choose another")
        if not entry.is_revoked and not renew:
            raise ConfigurationError(f"{name} has credentials already: --renew makes new ones, beside those")
        return entry

    def _app_jwt(self, registry: _Registry, operator: KeyPair) -> str:
        revoked = {key: until for entry in registry.users.values() for key, until in entry.revoked.items()}
        scopes = {
            role: (self._public(role), template)
            for role, template in templates(Layout.from_setting(registry.subjects)).items()
        }
        claims = nats_claims.app_claims(scopes, revoked)
        return nats_claims.signed(claims, self._public("app"), operator, int(time.time()))

    def _registry(self) -> _Registry:
        try:
            return msgspec.json.decode((self.folder / "users.json").read_bytes(), type=_Registry)
        except OSError as error:
            raise ConfigurationError(f"the keys in {self.folder} cannot be read: {error.strerror}") from None
        except msgspec.DecodeError as error:
            raise ConfigurationError(f"{self.folder / 'users.json'} cannot be read: {error}") from None

    def _keep(self, registry: _Registry) -> None:
        _write(self.folder / "users.json", msgspec.json.format(msgspec.json.encode(registry)).decode() + "\n")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_Registry]:
        """The registry, while nobody else changes it."""
        with _opened(self.folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._registry()

    def _public(self, role: str) -> str:
        return self._read(f"keys/{role}.pub")

    def _pair(self, role: str) -> KeyPair:
        return KeyPair(self._read(f"keys/{role}.nk"))

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigurationError(f"{self.folder / name} cannot be read: {reason}") from None


def _fill(folder: Path, subjects: str) -> None:
    for name in ("keys", "jwt", "users"):
        (folder / name).mkdir(mode=0o700)
    pairs = {name: KeyPair.new("operator" if name == "operator" else "account") for name in (*_SEEDS, *ROLES)}
    for name, pair in pairs.items():
        _write(folder / "keys" / f"{name}.nk", pair.seed + "\n")
        _write(folder / "keys" / f"{name}.pub", pair.public + "\n")
    vault, registry, now = Vault(folder), _Registry(subjects=subjects), int(time.time())
    operator, system = pairs["operator"], pairs["system"]

    def jwt(name: str, claims: dict[str, Any]) -> None:
        _write(folder / "jwt" / f"{name}.jwt", nats_claims.signed(claims, pairs[name].public, operator, now) + "\n")

    jwt("operator", nats_claims.operator_claims("mesh", system.public))
    jwt("system", nats_claims.system_claims())
    _write(folder / "jwt" / "app.jwt", vault._app_jwt(registry, operator))  # noqa: SLF001 - its own
    user = KeyPair.new("user")
    signed = nats_claims.signed(nats_claims.system_user_claims("system"), user.public, system, now)
    _write(folder / "system.creds", nats_claims.creds_text(signed, user.seed))
    vault._keep(registry)  # noqa: SLF001 - its own


def _write(path: Path, text: str) -> None:
    """Write a file for the owner alone, all of it or nothing."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _opened(unfinished) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _opened(path: Path) -> TextIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8")
