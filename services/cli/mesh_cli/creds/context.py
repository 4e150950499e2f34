"""Contexts for the `nats` command, written where it looks for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from daena_mesh.context import context_path
from daena_mesh.credentials import inbox_of, read_credentials
from daena_mesh.errors import ConfigurationError
from daena_mesh.local import running_mesh
from daena_mesh.vault import Vault


def write_context(vault: Vault, name: str, environ: Mapping[str, str], *, nats_url: str = "") -> Path:
    """Write the context ``name`` for the user of that name; raises `ConfigurationError`.

    One that is there already is only replaced where it is about the same credentials.
    """
    entry = vault.users().get(name)
    if entry is None or entry.is_revoked:
        raise ConfigurationError(f"there are no credentials for {name[:64]!r}; `mesh creds list` shows all")
    credentials, path = str(vault.path_of(name)), context_path(name, environ)
    context = {
        "description": f"Daena Mesh: {name} ({entry.role})",
        "url": nats_url or running_mesh() or "nats://127.0.0.1:4222",
        "creds": credentials,
        "inbox_prefix": inbox_of(read_credentials(credentials)),
    }
    try:
        if path.exists() and _credentials_in(path) != credentials:
            raise ConfigurationError(f"{path} is there already, with other credentials: remove it, or rename it")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_name(f".{name}.{os.getpid()}")
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(context)))
        unfinished.chmod(0o600)
        unfinished.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    return path


def _credentials_in(path: Path) -> object:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, object]).get("creds")
    except msgspec.DecodeError:
        return None
