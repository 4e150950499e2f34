"""The commands that serve until they are asked to stop: what they take, and their help."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mesh_cli.options import DATA_DIR, HOST, NATS_PORT, PORT, Host, NatsUrl, Port, Verbose


def up(
    *,
    host: Host = HOST,
    port: Port = PORT,
    nats_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of NATS; 0 takes a free one.", rich_help_panel="Where")
    ] = NATS_PORT,
    data_dir: Annotated[
        Path, typer.Option(file_okay=False, help="Where everything is kept.", rich_help_panel="Where")
    ] = DATA_DIR,
    edges: Annotated[int, typer.Option(min=0, max=64, help="Edge processes to add, on the next ports.")] = 0,
    demo: Annotated[bool, typer.Option("--demo", help="Let the agents of `mesh demo` work on it.")] = False,
    secure: Annotated[bool, typer.Option("--secure", help="NATS takes the credentials of `mesh creds` alone.")] = False,
    verbose: Verbose = False,
) -> None:
    """Start the whole mesh on this machine: NATS, API, WebSockets and the page.

    ```
    # the page is at http://127.0.0.1:8000/
    mesh up

    # with agents that read the texts of this folder, and answer questions about them
    mesh up --demo

    # with edge processes on 8001 and 8002
    mesh up --edges 2

    # beside another one
    mesh up --port 9000 --nats-port 4333 --data-dir .second

    # with a NATS that runs already
    MESH_NATS_URL=nats://127.0.0.1:4222 mesh up

    # with a NATS that asks for credentials: docs/credentials.md
    mesh creds init
    mesh up --secure
    ```

    What was said stays in `--data-dir` and is there again after the next start. Ctrl-C stops it, politely; a
    second Ctrl-C at once.
    """
    from mesh_cli.banner import show_banner, show_stopping
    from mesh_cli.logs import log_to_stderr
    from mesh_cli.loop import run
    from mesh_cli.up import UpOptions
    from mesh_cli.up import up as start

    log_to_stderr(verbose=verbose)
    if demo:
        from mesh_cli.demo.command import check_installed

        check_installed()
    options = UpOptions(
        host=host,
        port=port,
        nats_port=nats_port,
        data_dir=data_dir,
        edges=edges,
        demo=demo,
        secure=secure,
        verbose=verbose,
    )
    raise typer.Exit(run(start(options, show_banner, show_stopping)))


def api(
    *,
    host: Host = HOST,
    port: Port = PORT,
    nats_url: NatsUrl = "",
    verbose: Verbose = False,
    inherit: Annotated[int, typer.Option(hidden=True)] = -1,
) -> None:
    """Serve the REST API and the page alone, for a mesh whose NATS runs already.

    ```
    mesh api --nats-url nats://127.0.0.1:4222
    mesh api --port 9000
    ```

    The API is described at `/docs` once it runs.
    """
    from mesh_cli.apps import api_app
    from mesh_cli.logs import log_to_stderr
    from mesh_cli.loop import run
    from mesh_cli.single import serve_alone

    log_to_stderr(verbose=verbose)
    descriptor = inherit if inherit >= 0 else None
    raise typer.Exit(run(serve_alone("API", api_app, host=host, port=port, nats_url=nats_url, inherit=descriptor)))


def edge(
    *,
    host: Host = HOST,
    port: Port = PORT + 1,
    nats_url: NatsUrl = "",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that share the port.")] = 1,
    verbose: Verbose = False,
    inherit: Annotated[int, typer.Option(hidden=True)] = -1,
    worker: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Serve WebSockets alone, for a mesh whose NATS runs already; start as many as you like.

    ```
    mesh edge --nats-url nats://127.0.0.1:4222
    mesh edge --port 8002

    # four processes on one port, ready, measured and stopped as one
    mesh edge --workers 4
    ```

    Browsers connect to `ws://127.0.0.1:8001/ws/chat/ID`, `/ws/events`, `/ws/council` and `/ws/agent/ID`.
    SIGTERM or Ctrl-C sends them elsewhere, then ends it; a second one ends it at once.
    """
    from mesh_cli.logs import log_to_stderr
    from mesh_cli.loop import run

    log_to_stderr(verbose=verbose)
    if workers > 1:
        from mesh_cli.workers import serve_workers

        raise typer.Exit(run(serve_workers(workers, host=host, port=port, nats_url=nats_url, verbose=verbose)))
    from mesh_cli.apps import edge_app
    from mesh_cli.single import serve_alone
    from mesh_edge.siblings import Siblings

    descriptor = inherit if inherit >= 0 else None
    siblings = Siblings.parse(worker) if worker else None
    app = partial(edge_app, siblings=siblings)
    raise typer.Exit(
        run(serve_alone("edge", app, host=host, port=port, nats_url=nats_url, inherit=descriptor, siblings=siblings))
    )


def brain(
    *,
    nats_url: NatsUrl = "",
    base_url: Annotated[
        str,
        typer.Option(
            envvar="OPENAI_BASE_URL",
            help="The server of models, such as http://127.0.0.1:11434/v1.",
            rich_help_panel="Where",
        ),
    ] = "",
    model: Annotated[
        str, typer.Option(envvar="MESH_BRAIN_MODEL", help="By default the first that the server has.")
    ] = "",
    brain_id: Annotated[
        str, typer.Option("--id", envvar="MESH_BRAIN_ID", help="Its state is told as brain.ID.status; main by default.")
    ] = "",
    verbose: Verbose = False,
) -> None:
    """Answer questions for Daena with a language model, and tell how its server is.

    ```
    # with Ollama on this machine
    ollama pull llama3.2
    OPENAI_BASE_URL=http://127.0.0.1:11434/v1 mesh brain

    # with any other server that speaks OpenAI's protocol, such as vLLM or llama.cpp
    mesh brain --base-url http://127.0.0.1:8080/v1 --model qwen3

    # one that wants a key, which is never shown
    OPENAI_API_KEY=... mesh brain --base-url https://models.example/v1

    # what it tells
    mesh tail 'brain.>'
    ```

    Ask on the page, or with `POST /api/v1/daena/chat`: the answer is streamed into the chat. Where the model is away
    the chat says why. `docs/brain.md` has all settings. SIGTERM or Ctrl-C ends it.
    """
    from mesh_cli.brain import brain as answer
    from mesh_cli.logs import log_to_stderr
    from mesh_cli.loop import run

    log_to_stderr(verbose=verbose)
    raise typer.Exit(
        run(answer(nats_url=nats_url or None, base_url=base_url, model=model or None, brain_id=brain_id or None))
    )


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, readable=True, help="The folder to read. By default this one."),
    ] = None,
    *,
    nats_url: NatsUrl = "",
    verbose: Verbose = False,
    badges: Annotated[Path | None, typer.Option(hidden=True)] = None,
    child: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Let agents work on a mesh that runs already, with no model and no network.

    ```
    mesh demo
    mesh demo docs/
    ```

    The *reader* makes the texts of a folder searchable, and reads again what changes. The *librarian* answers
    questions from them, and names file and line: ask it on the page, or with
    `POST /api/v1/agents/librarian/chat`. The *watchman* reports what this machine is busy with. Nothing leaves
    this machine. `mesh up --demo` starts a mesh and the agents together.
    """
    from mesh_cli.demo.command import demo as work
    from mesh_cli.logs import log_to_nobody
    from mesh_cli.loop import run

    log_to_nobody()
    raise typer.Exit(run(work(folder, nats_url=nats_url or None, badges=badges, is_child=child, verbose=verbose)))
