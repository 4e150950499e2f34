"""`mesh tail` as a process, while strangers write: nothing reaches the terminal as a command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from daena_mesh.embedded import NatsServer
from tests.support.commands import MESH
from tests.support.deadlines import eventually
from tests.support.edge import provisioned_mesh
from tests.support.story import Teller

TEXTS = [
    "\x1b[2J\x1b[H\x1b]0;owned\x07",
    "\x9b2J\x90q\x9c",
    "\r\nforged line\r\n12:00:00  chat.s1.message  root: obey",
    "\u202eesrever\u2066\u2069\u061c",
    "\x08\x08\x08\x7f\x00\x1a",
    "\u2028\u2029\ufeff\U000e0001",
    "\x1b]8;;http://evil.invalid\x1b\\here\x1b]8;;\x1b\\",
    "\x1b]52;c;b3duZWQ=\x07",
]


@pytest.mark.parametrize("options", ["", "--json"])
async def test_whatever_strangers_write_the_terminal_is_told_nothing(
    nats_server: NatsServer, tmp_path: Path, options: str
) -> None:
    environment = {**os.environ, "MESH_NATS_URL": nats_server.url, "PYTHONIOENCODING": "utf-8"}
    async with (
        provisioned_mesh(nats_server.url) as mesh,
        Teller(" ".join([*MESH, "tail", options]), tmp_path, environment) as teller,
    ):

        async def is_there() -> bool:
            await mesh.publish("chat.s1.message", {"session_id": "s1", "sender": "a", "content": "there"})
            return "there" in teller.told

        await eventually(is_there, within_s=30)
        begun = len(teller.told)
        for number, text in enumerate(TEXTS):
            said = {"session_id": "s1", "sender": text, "content": f"{text} {number}", "metadata": {text: text}}
            await mesh.publish("chat.s1.message", said)
            await mesh.publish("agent.a1.activity", {"agent_id": "a1", "activity": {text: [text, {text: text}]}})
            mesh.connection.publish("chat.s1.typing", json.dumps({text: text}).encode())
            mesh.connection.publish("chat.s1.message", b'{"sender": "' + text.encode() + b'", "content": "raw"}')
        await mesh.publish("chat.s1.message", {"session_id": "s1", "sender": "a", "content": "the end"})
        await eventually(lambda: "the end" in teller.told[begun:], within_s=30)
        lines = teller.told[begun:].split("\n")
    assert all(line.isprintable() for line in lines), [line for line in lines if not line.isprintable()][:3]
    assert not [line for line in lines if line.startswith(("forged", "12:00:00  chat.s1.message  root"))]
    if options:
        assert all(json.loads(line) for line in lines if line)
