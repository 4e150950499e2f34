"""`mesh tail '$SYS.>'`: what the nats-servers tell of themselves, in an account of their own."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import datetime

import msgspec
from rich.console import Console
from rich.text import Text

from daena_mesh.connection import Connection
from daena_mesh.credentials import read_credentials
from daena_mesh.errors import ConfigurationError, InvalidSubject
from daena_mesh.mesh import whereabouts
from daena_mesh.settings import MeshSettings, load
from mesh_cli.rendering import LONGEST_SUMMARY, json_line, printable

_MOST_WAITING = 10_000
_CONNECT_S = 5.0
_is_pattern = re.compile(r"\$SYS(\.[A-Za-z0-9_$*-]+)*(\.>)?").fullmatch


def is_of_the_servers(pattern: str) -> bool:
    """Whether ``pattern`` is about what servers tell, and not about events."""
    return pattern.startswith("$SYS.")


async def follow_servers(pattern: str, *, as_json: bool, nats_url: str | None) -> None:
    """Print what servers say on ``pattern``; raises `MeshError`."""
    if len(pattern) > LONGEST_SUMMARY or not _is_pattern(pattern):
        raise InvalidSubject(f"{pattern[:80]!a} is no pattern of what servers tell, such as $SYS.ACCOUNT.*.CONNECT")
    urls, credentials = whereabouts(load(MeshSettings, nats_url=nats_url))
    _check(urls, credentials)
    said: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue(_MOST_WAITING)

    def hear(subject: bytes, _reply: bytes, _headers: bytes, body: bytes) -> None:
        if not said.full():
            said.put_nowait((subject, body))

    connection = Connection(list(urls), name="mesh-tail", credentials=credentials)
    connection.subscribe(pattern, hear)
    connection.start()
    try:
        await connection.wait_ready(_CONNECT_S)
        console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        while True:
            subject, body = await said.get()
            if as_json:
                sys.stdout.write(system_json(subject, body) + "\n")
                sys.stdout.flush()
            else:
                console.print(system_line(subject, body, datetime.now().astimezone()))
    finally:
        await connection.close()


def _check(urls: object, credentials: str | None) -> None:
    """Raise `ConfigurationError` for who is certainly told nothing."""
    user = read_credentials(credentials) if credentials else None
    if (user is None and "@" not in str(urls)) or (user is not None and user.tags):
        raise ConfigurationError(
            "what servers tell goes to their own account alone: MESH_NATS_CREDS=.mesh/creds/system.creds mesh tail …"
        )


def system_json(subject: bytes, body: bytes) -> str:
    """Return one line of JSON in ASCII; what is no JSON is told as text."""
    try:
        data: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        data = body.decode("utf-8", "replace")
    return json_line({"subject": subject.decode("utf-8", "replace"), "data": data})


def system_line(subject: bytes, body: bytes, at: datetime) -> Text:
    """Return a line for a terminal."""
    text = body[:LONGEST_SUMMARY].decode("utf-8", "replace")
    return Text.assemble(
        (f"{at:%H:%M:%S}", "dim"), "  ", (printable(subject.decode("utf-8", "replace")), "red"), "  ", printable(text)
    )
