"""How each contender is spoken to."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from mesh_cli.bench import contenders
from mesh_cli.bench.child import Child
from mesh_cli.bench.contenders import CENTRIFUGO, LIMIT, NAIVE, NATS, Running
from mesh_cli.bench.work import OURS


async def contender(name: str, tmp_path: Path) -> Running:
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    return Running(name, Child(name, process, tmp_path / "log"), 1, (2, 3))


async def test_centrifugo_is_asked_for_the_subject_that_is_published_to(tmp_path: Path) -> None:
    running = await contender(CENTRIFUGO, tmp_path)
    assert running.load_arguments == ["--joined-by", '{"connect":']
    path = urlsplit(running.guest("b0001").path)
    assert path.path == "/connection/uni_websocket"
    (wish,) = parse_qs(path.query)["cf_connect"]
    assert msgspec.json.decode(wish) == {"subs": {"agent.b0001.activity": {}}}


@pytest.mark.parametrize("name", [OURS, LIMIT, NAIVE])
async def test_the_others_have_our_routes(name: str, tmp_path: Path) -> None:
    running = await contender(name, tmp_path)
    assert running.guest("b0001").path == "/ws/agent/b0001"
    assert running.guest("b0001", since="Sx-1").path == "/ws/agent/b0001?since=Sx-1"
    assert bool(running.load_arguments) == (name == OURS)


async def test_nats_server_is_spoken_to_in_nats(tmp_path: Path) -> None:
    running = await contender(NATS, tmp_path)
    assert (running.load_arguments, running.guest("b0001").subject) == (["--nats"], "live.agent.b0001.>")


def test_centrifugo_is_one_of_them_where_it_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert CENTRIFUGO not in contenders.everybody()
    binary = tmp_path / CENTRIFUGO
    binary.write_text("#!/bin/sh\n")
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    assert CENTRIFUGO in contenders.everybody()
