"""The API keeps what its OpenAPI document says, whatever it is asked: all checks of schemathesis, on a real server."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from daena_mesh.embedded import NatsServer
from tests.support.api import served_api
from tests.support.deadlines import within

HERE = Path(__file__).parent
EXAMPLES = 6


@pytest.mark.timeout(240)
async def test_the_api_is_as_its_document_says(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_api.prefer.MOST_WAIT_S", 0)  # nobody is there to answer
    monkeypatch.setattr("mesh_api.ui_streams.MOST_S", 0)
    async with served_api(nats_server.url) as api, within(220):
        client = api.context.mesh.connection.client
        program = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).parent / "schemathesis"), "--no-color"),
            *("--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{api.client.base_url}/openapi.json", "--checks", "all", "--warnings", "off"),
            *("--max-examples", str(EXAMPLES), "--seed", "1", "--phases", "coverage,fuzzing,stateful"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await program.communicate()
        assert program.returncode == 0, said.decode()[-8_000:]
        assert b"Tested: 0" not in said
        metrics = (await api.client.get("/metrics")).text
        assert 'status="500"' not in metrics
        assert api.context.mesh.connection.client is client
        assert api.context.mesh.connection.connects == 1
