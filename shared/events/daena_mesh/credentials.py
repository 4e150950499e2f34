"""The credentials that a process connects with: whose they are, and under which subjects its answers come."""

from __future__ import annotations

from pathlib import Path

from daena_mesh.errors import ConfigurationError
from daena_mesh.nats_claims import User, user_in
from daena_mesh.nats_keys import check_installed
from daena_mesh.permissions import inbox_prefix, role_of


def read_credentials(path: str | Path) -> User:
    """Whose credentials a ``.creds`` file holds.

    Raises `ConfigurationError` where it cannot be read, or the packages are missing to connect with it.
    """
    check_installed()
    try:
        text = Path(path).read_text(encoding="utf-8")
        return user_in(text)
    except OSError as error:
        raise ConfigurationError(f"the credentials in {path} cannot be read: {error.strerror}") from None
    except (UnicodeError, ConfigurationError) as error:
        reason = str(error) if isinstance(error, ConfigurationError) else "it is no text"
        raise ConfigurationError(f"the credentials in {path} cannot be read: {reason}") from None


def inbox_of(user: User | None) -> str:
    """Under which subjects who connects with these credentials, or with none, may hear answers."""
    if user is None or not user.tags:
        return "_INBOX"
    return inbox_prefix(role_of(user.tags), user.name)
