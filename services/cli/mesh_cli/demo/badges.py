"""The credentials of the demo's agents, on a mesh that takes nobody without."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from daena_mesh.credentials import read_credentials
from daena_mesh.errors import ConfigurationError
from daena_mesh.permissions import AGENT, tags_of
from daena_mesh.vault import Vault

SESSION = "demo"


class Badge(NamedTuple):
    """What an agent of the demo has to hold."""

    role: str
    name: str
    sessions: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()


BADGES = (
    Badge(AGENT, "reader"),
    Badge("brain", "librarian", agents=("librarian",)),  # it answers in every session, for Daena, too
    Badge(AGENT, "visitor", sessions=(SESSION,)),
)


def ensure_badges(vault: Vault) -> Path:
    """Make what is missing, and give the folder; raises `ConfigurationError` where a name is somebody else's."""
    users = vault.users()
    for badge in BADGES:
        path, entry = vault.path_of(badge.name), users.get(badge.name)
        if entry is None or entry.is_revoked:
            vault.mint(badge.role, badge.name, sessions=badge.sessions, agents=badge.agents)
        elif not set(tags_of(badge.role, badge.sessions, (), badge.agents)) <= set(read_credentials(path).tags):
            raise ConfigurationError(
                f"the demo needs the name {badge.name}, which has other credentials: run it without --demo, or in "
                "another --data-dir"
            )
    return vault.path_of(BADGES[0].name).parent
