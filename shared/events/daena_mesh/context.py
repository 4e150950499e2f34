"""Contexts of the ``nats`` command line: a server and credentials under a name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from daena_mesh.errors import ConfigurationError

_is_name = re.compile(r"[A-Za-z0-9_.@-]{1,128}").fullmatch


class Context(NamedTuple):
    """What the mesh takes from a context."""

    urls: Sequence[str]
    credentials: str | None
    authority: str | None = None


class _File(msgspec.Struct):
    url: str = ""
    creds: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    ca: str = ""


def read_context(name: str, environ: Mapping[str, str]) -> Context:
    """Read the context ``name`` from where the ``nats`` CLI keeps it; raises `ConfigurationError`."""
    if not _is_name(name):
        raise ConfigurationError(f"MESH_NATS_CONTEXT: {name[:80]!r} is not the name of a context")
    path = context_path(name, environ)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise ConfigurationError(f"MESH_NATS_CONTEXT: no context {name!r} ({error.strerror}: {path})") from None
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"MESH_NATS_CONTEXT: {path} cannot be read: {error}") from None
    urls = [_with_user(url.strip(), found) for url in (found.url or "nats://127.0.0.1:4222").split(",")]
    return Context(urls, found.creds or None, found.ca or None)


def context_path(name: str, environ: Mapping[str, str]) -> Path:
    """Where the ``nats`` CLI keeps the context ``name``."""
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".config")
    return home / "nats" / "context" / f"{name}.json"


def _with_user(url: str, found: _File) -> str:
    secret = f"{found.user}:{found.password}" if found.user else found.token
    if not secret or "@" in url:
        return url
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme or 'nats'}{separator or '://'}{secret}@{rest}"
