"""`mesh up`: the whole mesh on this machine, in one process beside its nats-server."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daena_mesh.errors import ConfigurationError
from daena_mesh.local import forget_running, note_running
from daena_mesh.mesh import Mesh
from daena_mesh.permissions import UP
from daena_mesh.settings import MeshSettings, load
from daena_mesh.vault import Vault
from mesh_cli.children import Child, Children, edge
from mesh_cli.listening import Listener, bind
from mesh_cli.nats import KeptNats
from mesh_cli.stopping import Stop
from mesh_cli.watchman import Watchman


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """What `mesh up` was told; a port of 0 takes a free one."""

    host: str
    port: int
    nats_port: int
    data_dir: Path
    edges: int
    demo: bool = False
    secure: bool = False
    verbose: bool = False


@dataclass(frozen=True, kw_only=True)
class Running:
    """What runs, for the banner; ``data_dir`` is None where the NATS is not ours."""

    url: str
    nats_url: str
    edge_urls: list[str]
    data_dir: Path | None
    has_demo: bool = False
    is_secure: bool = False
    is_on_loopback: bool = True


async def up(options: UpOptions, on_ready: Callable[[Running], None], on_stop: Callable[[], None]) -> int:
    """Run the mesh until it is asked to stop.

    Args:
        options: where, and how many edges.
        on_ready: called once, when everything answers.
        on_stop: called once, when it was asked to stop.

    Returns:
        The exit code: 0 after a stop that was asked for, 128 + signal where that came before it was ready.

    Raises:
        MeshError: it cannot run, or cannot go on; nothing is left behind.
    """
    stop = Stop()
    try:
        async with contextlib.AsyncExitStack() as stack:
            await _run(options, stack, stop, on_ready, on_stop)
    except asyncio.CancelledError:
        if stop.number is None:
            raise
        return stop.exit_code
    if stop.failure is not None:
        raise stop.failure
    return 0


async def _run(
    options: UpOptions,
    stack: contextlib.AsyncExitStack,
    stop: Stop,
    on_ready: Callable[[Running], None],
    on_stop: Callable[[], None],
) -> None:
    listener, *edge_listeners = stack.enter_context(_bound(options))
    nats_url, data_dir = load(MeshSettings).nats_url, None
    vault = _vault(options, nats_url) if options.secure else None
    watchman: Watchman | None = None
    variables: dict[str, str] = {}
    if vault is not None:
        os.environ["MESH_NATS_CREDS"] = str(vault.ensure(UP))  # for all that reads its settings in this process
        variables["MESH_NATS_CREDS"] = str(vault.ensure("edge"))
    if not nats_url:
        kept = await KeptNats.start(options.data_dir, options.nats_port, stop, vault)
        nats = await stack.enter_async_context(kept)
        nats_url, data_dir = nats.url, options.data_dir
        if vault is not None:
            watchman = Watchman(nats.log_path, vault)
    places = [edge(place) for place in edge_listeners]
    edges = Children(places, nats_url, verbose=options.verbose, variables=variables)
    stack.push_async_callback(edges.stop)
    await edges.start()
    if data_dir is not None:
        await _provision(nats_url)
    # Imported only now, because that takes most of the time of a start: the edges do the same meanwhile.
    from mesh_cli.apps import drain, mesh_app, mesh_of
    from mesh_cli.serve import serve
    from mesh_edge.settings import EdgeSettings

    edges.drain_s = load(EdgeSettings).drain_s
    app = mesh_app(nats_url, lambda: [watchman.denials.metric()] if watchman else [])
    agents = Children(_demo(options, vault), nats_url, verbose=options.verbose)
    stack.push_async_callback(agents.stop)
    running = Running(
        url=listener.url,
        nats_url=nats_url,
        edge_urls=[place.url for place in edge_listeners],
        data_dir=data_dir,
        has_demo=options.demo,
        is_secure=options.secure,
        is_on_loopback=listener.is_on_loopback,
    )

    async def ready() -> None:
        await edges.ready()
        await agents.start()
        if watchman is not None:
            await stack.enter_async_context(watchman.watching(mesh_of(app)))
        with contextlib.suppress(OSError):  # without the note it runs as well
            note_running(nats_url)
        on_ready(running)

    async def drain_all() -> None:
        on_stop()
        forget_running()
        await agents.stop()  # first, so that those who are connected are told that they go
        await asyncio.gather(edges.stop(), drain(app))

    stack.callback(forget_running)
    await serve(app, listener, stop, on_ready=ready, drain=drain_all)


def _vault(options: UpOptions, nats_url: str) -> Vault:
    """The keys of this mesh; raises `ConfigurationError`."""
    if nats_url:
        raise ConfigurationError(
            "--secure is for the NATS that `mesh up` starts; for the one that MESH_NATS_URL names set MESH_NATS_CREDS"
        )
    return Vault.open(options.data_dir / "creds")


def _demo(options: UpOptions, vault: Vault | None) -> list[Child]:
    """The process of the demo's agents, if there shall be one; raises `ConfigurationError`."""
    if not options.demo:
        return []
    from mesh_cli.demo.badges import ensure_badges

    badges = ("--badges", str(ensure_badges(vault))) if vault is not None else ()
    return [Child("demo", ("demo", "--child", *badges))]


async def _provision(nats_url: str) -> None:
    """Make the streams of a NATS that is new, so that nobody who starts now finds it without them."""
    async with Mesh(load(MeshSettings, nats_url=nats_url), name="mesh-up", provisions=True):
        pass


@contextlib.contextmanager
def _bound(options: UpOptions) -> Iterator[list[Listener]]:
    """All ports, taken before anything is started: that of the mesh, and the ones after it for its edges."""
    with contextlib.ExitStack() as stack:
        listeners = []
        for number in range(options.edges + 1):
            port = options.port + number if options.port else 0
            flag = "--port" if number == 0 else "--port (edges take the ports after it)"
            listeners.append(bind(options.host, port, flag=flag))
            stack.callback(listeners[-1].socket.close)
        yield listeners
