"""The configurations of NATS that are shipped: read by the real server, and a leaf really followed through."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daena_mesh import Mesh
from daena_mesh.embedded import find_binary
from daena_mesh.nats_config import trusting
from daena_mesh.settings import MeshSettings
from daena_mesh.vault import Vault
from tests.support.deadlines import within
from tests.support.edge_command import edge_command

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "nats"
NAMES = ("one", "node", "leaf", "region")


def variables(hub: str = "tls://hub.example:7422") -> dict[str, str]:
    """What the files ask for."""
    return {
        "NATS_NAME": "n1",
        "NATS_REGION": "east",
        "NATS_ROUTES": '["tls://n1:6222", "tls://n2:6222", "tls://n3:6222"]',
        "EAST": '["tls://east-1:7222"]',
        "WEST": '["tls://west-1:7222"]',
        "HUB_URL": hub,
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped files, and what they include."""
    folder = tmp_path_factory.mktemp("nats")
    vault = Vault.create(folder / "creds")
    (folder / "auth.conf").write_text("\n".join(trusting(vault.trust(), "./jwt")), encoding="utf-8")
    (folder / "tls").mkdir()
    make = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    files = ("-keyout", folder / "tls" / "server-key.pem", "-out", folder / "tls" / "server.pem", "-subj", "/CN=n1")
    subprocess.run([*make, *files], check=True, capture_output=True)
    (folder / "tls" / "ca.pem").write_bytes((folder / "tls" / "server.pem").read_bytes())
    for shipped in SHIPPED.glob("*.conf"):
        (folder / shipped.name).write_bytes(shipped.read_bytes())
    return folder


def test_each_file_is_looked_at() -> None:
    assert {path.stem for path in SHIPPED.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_server_takes_it(name: str, place: Path) -> None:
    command = [str(find_binary()), "-t", "-c", str(place / f"{name}.conf")]
    environment = {**os.environ, **variables()}
    told = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "is valid" in told.stderr


@contextmanager
def running(text: str, path: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a nats-server with this configuration."""
    path.write_text(text, encoding="utf-8")
    log = path.with_suffix(".log")
    command = [str(find_binary()), "-c", str(path), "-l", str(log)]
    process = subprocess.Popen(command, cwd=path.parent, env={**os.environ, **environment})
    try:
        yield
    finally:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in taken]
    for sock in taken:
        sock.close()
    return ports


async def listens(port: int) -> None:
    """Return when somebody listens there."""
    async with within(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def at(text: str, *replaced: tuple[str, str]) -> str:
    """The text with addresses of this machine."""
    for old, new in replaced:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.mark.timeout(120)
async def test_an_edge_at_a_leaf_shows_what_is_said_at_the_hub_also_when_the_leaf_was_away(
    place: Path, tmp_path: Path
) -> None:
    vault = Vault.open(place / "creds")
    (place / "leaf.creds").write_bytes(vault.ensure("leaf").read_bytes())
    hub_port, for_leaves, hub_monitor, leaf_port, leaf_monitor = free_ports(5)
    here = [("/var/lib/nats", str(tmp_path / "hub")), ("127.0.0.1:4222", f"127.0.0.1:{hub_port}")]
    hub = at((SHIPPED / "one.conf").read_text(), *here, ("127.0.0.1:8222", f"127.0.0.1:{hub_monitor}"))
    hub = at(hub, ("    sync_interval: always", "    sync_interval: always\n    domain: hub"))
    hub += f"\nleafnodes {{ listen: 127.0.0.1:{for_leaves} }}\n"
    own = [("127.0.0.1:4222", f"127.0.0.1:{leaf_port}"), ("127.0.0.1:8222", f"127.0.0.1:{leaf_monitor}")]
    leaf = at((SHIPPED / "leaf.conf").read_text(), *own)
    environment = variables(f"nats-leaf://127.0.0.1:{for_leaves}")
    settings = MeshSettings(nats_url=f"nats://127.0.0.1:{hub_port}", nats_creds=str(vault.ensure("api")))
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(running(hub, place / "hub.conf", environment))
        await listens(hub_port)
        mesh = await stack.enter_async_context(Mesh(settings, name="speaker", provisions=True))
        named = environment | {"NATS_NAME": "leaf"}
        with running(leaf, place / "here.conf", named):
            await listens(leaf_port)
            at_leaf = edge_command(f"nats://127.0.0.1:{leaf_port}", folder=tmp_path, nats_creds=place / "leaf.creds")
            edge = await stack.enter_async_context(at_leaf)
            client = await stack.enter_async_context(edge.connect("/ws/chat/s1"))
            await mesh.chat("s1").send("near", sender="ada")
            assert (await client.event())["payload"]["content"] == "near"
        await mesh.chat("s1").send("while it was away", sender="ada")
        with running(leaf, place / "here.conf", named):
            contents = [event["payload"]["content"] for event in await client.events(1, within_s=40)]
            await mesh.chat("s1").send("after", sender="ada")
            contents += [event["payload"]["content"] for event in await client.events(1, within_s=20)]
    assert contents == ["while it was away", "after"]
