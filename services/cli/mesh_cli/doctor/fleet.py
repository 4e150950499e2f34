"""The processes of the mesh, as services of NATS tell of themselves: which there are, and of which version."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from daena_mesh.connection import Connection, Reply
from daena_mesh.errors import MeshUnavailable
from mesh_cli.doctor.finding import Finding, fine, problem, warning

_WITHIN_S = 1.0
_OURS = "mesh-"

Told = TypeVar("Told", bound=msgspec.Struct)


class Member(msgspec.Struct, frozen=True):
    """One process."""

    name: str
    id: str = ""
    version: str = ""


class _Figures(msgspec.Struct, frozen=True):
    longest_token_s: float = 0


class _Endpoint(msgspec.Struct, frozen=True):
    data: _Figures = _Figures()


class _Edge(msgspec.Struct, frozen=True):
    endpoints: list[_Endpoint] = []


async def look_at_fleet(connection: Connection) -> list[Member]:
    """Ask all; who has not answered within a second is not there."""
    members = {member.id: member for member in await _ask_all(connection, "$SRV.INFO", Member)}
    return sorted(members.values(), key=lambda member: (member.name, member.id))


async def look_at_tokens(connection: Connection) -> float:
    """For how many seconds the token of some socket is still good, on whatever edge."""
    edges = await _ask_all(connection, "$SRV.STATS.mesh-edge", _Edge)
    return max((endpoint.data.longest_token_s for edge in edges for endpoint in edge.endpoints), default=0)


async def _ask_all(connection: Connection, subject: str, cls: type[Told]) -> list[Told]:
    told: list[Told] = []
    enough = asyncio.Event()

    def give(reply: Reply | None) -> None:
        if reply is None or not reply.body:  # the connection was lost, or nobody is there
            enough.set()
            return
        try:
            told.append(msgspec.json.decode(reply.body, type=cls))
        except msgspec.DecodeError:
            return

    try:
        token = connection.ask(subject, b"", give)
    except MeshUnavailable:
        return []
    try:
        async with asyncio.timeout(_WITHIN_S):
            await enough.wait()
    except TimeoutError:
        pass
    finally:
        connection.stop_asking(token)
    return told


def judge_fleet(members: Sequence[Member], ours: str) -> list[Finding]:
    """Whether somebody serves, and all the same version."""
    services = [member for member in members if member.name.startswith(_OURS)]
    counts = Counter(member.name for member in services)
    findings = []
    for name in ("mesh-api", "mesh-edge"):
        if not counts[name]:
            command = name.replace("-", " ")
            findings.append(problem("services", f"no {name} answers", f"start one: `{command}`, or `mesh up`"))
    others = [member for member in services if member.version != ours]
    if others:
        seen = ", ".join(f"{member.name} {member.id} is {member.version or 'unknown'}" for member in others)
        mend = "fine while an upgrade rolls on; afterwards restart what is old"
        findings.append(warning("versions", f"{seen}; this is {ours}", mend))
    elif services:
        findings.append(fine("versions", f"{ours}: {', '.join(f'{n} x {c}' for n, c in sorted(counts.items()))}"))
    return findings
