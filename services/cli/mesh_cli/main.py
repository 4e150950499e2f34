"""The `mesh` command: its options, its help, its exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from daena_mesh.errors import MeshError
from mesh_cli.creds.commands import creds
from mesh_cli.rendering import printable

HOST = "127.0.0.1"
PORT = 8000
NATS_PORT = 4222
DATA_DIR = Path(".mesh")

commands = typer.Typer(
    name="mesh",
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

commands.add_typer(creds)

Host = Annotated[str, typer.Option(help="Loopback address to listen on.", rich_help_panel="Where")]
Port = Annotated[
    int,
    typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.", rich_help_panel="Where"),
]
NatsUrl = Annotated[
    str,
    typer.Option(
        envvar="MESH_NATS_URL",
        help="NATS servers, separated by commas. By default the mesh that runs on this machine.",
        rich_help_panel="Where",
    ),
]

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log more than warnings.")]


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"mesh {metadata.version('daena-mesh')}\n")
        raise typer.Exit


@commands.callback()
def mesh(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A real-time event mesh for systems of AI agents.

    Start it, watch it, publish to it:

    ```
    mesh up
    mesh tail
    mesh emit agent.scout.activity '{"activity": {"state": "searching"}}'
    ```

    Each command explains itself: `mesh up --help`.
    """


@commands.command()
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


@commands.command()
def api(*, host: Host = HOST, port: Port = PORT, nats_url: NatsUrl = "", verbose: Verbose = False) -> None:
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
    raise typer.Exit(run(serve_alone("API", api_app, host=host, port=port, nats_url=nats_url)))


@commands.command()
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


@commands.command()
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


@commands.command()
def tail(
    subject: Annotated[str, typer.Argument(help="What to watch; * is one word of it, > the rest.")] = ">",
    since: Annotated[str, typer.Option(metavar="CURSOR", help="Begin after this position instead of now.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    nats_url: NatsUrl = "",
) -> None:
    """Watch events as they happen, one a line, until Ctrl-C.

    ```
    # everything
    mesh tail

    # what is said in all sessions, and what one agent does
    mesh tail 'chat.*.message'
    mesh tail 'agent.scout.>'

    # go on after a cursor, which is the last word of each line
    mesh tail --since Rk3f-120

    # for programs
    mesh tail --json | jq .payload
    ```

    Texts are shown as texts: control characters in them are escaped.
    """
    from mesh_cli.logs import log_to_nobody
    from mesh_cli.loop import run
    from mesh_cli.tail import tail as watch

    log_to_nobody()
    raise typer.Exit(run(watch(subject, since=since or None, as_json=as_json, nats_url=nats_url or None)))


@commands.command()
def emit(
    subject: Annotated[str, typer.Argument(help="Such as chat.s1.message or agent.scout.activity.")],
    payload: Annotated[str, typer.Argument(metavar="JSON", help="A JSON object; - reads it from standard input.")],
    nats_url: NatsUrl = "",
) -> None:
    """Publish one event, and print its cursor once it is stored.

    ```
    mesh emit agent.scout.activity '{"activity": {"state": "searching"}}'
    mesh emit chat.s1.message '{"sender": "user", "content": "Hello!"}'
    echo '{"status": "online"}' | mesh emit agent.scout.status -
    ```
    """
    from mesh_cli.emit import emit as publish
    from mesh_cli.logs import log_to_nobody
    from mesh_cli.loop import run

    log_to_nobody()
    raise typer.Exit(run(publish(subject, payload, nats_url=nats_url or None)))


@commands.command()
def token(
    user: Annotated[str, typer.Argument(help="Who it is for: the name under which they speak.")],
    *,
    read: Annotated[
        list[str], typer.Option(metavar="PATTERN", help="Subjects that may be read; may be repeated.")
    ] = [],  # noqa: B006 - typer copies it
    write: Annotated[list[str], typer.Option(metavar="PATTERN", help="Subjects that may be written; likewise.")] = [],  # noqa: B006 - likewise
    ttl: Annotated[str, typer.Option(metavar="TIME", help="How long it is good: 30s, 15m, 1h, 7d.")] = "1h",
) -> None:
    """Print a token for a browser or a program, signed with `MESH_TOKEN_KEY` (or the first key of the file).

    ```
    # one session: to see it, and to say something in it
    mesh token alice --read 'chat.s1.>' --read 'session.s1.>' --write chat.s1.message

    # an operator, for ten minutes
    mesh token root --read '>' --write '>' --ttl 10m
    ```
    """
    from mesh_cli.tokens import print_token

    raise typer.Exit(print_token(user, read, write, ttl=ttl))


@commands.command()
def revoke(
    who: Annotated[str, typer.Argument(metavar="USER|TOKEN", help="Whose tokens, or which; - reads standard input.")],
    nats_url: NatsUrl = "",
) -> None:
    """Refuse all tokens that a user has by now, or a single one. What they opened is closed within two seconds.

    ```
    mesh revoke alice
    mesh revoke - < token.txt
    ```

    A token that is made later is accepted again: it says in `iat` when that was.
    """
    from mesh_cli.logs import log_to_nobody
    from mesh_cli.loop import run
    from mesh_cli.revoke import revoke as write

    log_to_nobody()
    raise typer.Exit(run(write(who, nats_url=nats_url or None)))


@commands.command()
def doctor(
    *,
    url: Annotated[
        str,
        typer.Option(help="Where clients find API and edge: the proxy, where there is one.", rich_help_panel="Where"),
    ] = f"http://{HOST}:{PORT}",
    nats_url: NatsUrl = "",
    monitor_url: Annotated[
        str,
        typer.Option(
            help="Where NATS is monitored. By default that of --data-dir, or port 8222.", rich_help_panel="Where"
        ),
    ] = "",
    data_dir: Annotated[
        Path, typer.Option(file_okay=False, help="Where `mesh up` keeps everything.", rich_help_panel="Where")
    ] = DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Check a mesh that runs: NATS, its streams, the API, edges, proxy, versions, this machine. Nothing is changed.

    ```
    mesh doctor

    # through the proxy, and with a NATS of your own
    mesh doctor --url https://mesh.example --nats-url nats://10.0.0.1:4222 --monitor-url http://10.0.0.1:8222

    # for programs
    mesh doctor --json | jq '.findings[] | select(.level == "problem")'
    ```

    Each line says what was seen, and how to mend it. The exit code is 1 where something is to mend. What the API is
    told by `MESH_...` variables has to be told here, too: streams are compared with what it makes of them.
    """
    from mesh_cli.doctor.command import doctor as examine
    from mesh_cli.doctor.examination import Places
    from mesh_cli.logs import log_to_nobody
    from mesh_cli.loop import run

    log_to_nobody()
    places = Places(url=url.rstrip("/"), nats_url=nats_url or None, monitor_url=monitor_url, data_dir=data_dir)
    raise typer.Exit(run(examine(places, in_json=as_json)))


@commands.command()
def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, readable=True, help="The folder to read. By default this one."),
    ] = None,
    *,
    nats_url: NatsUrl = "",
    verbose: Verbose = False,
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
    raise typer.Exit(run(work(folder, nats_url=nats_url or None, is_child=child, verbose=verbose)))


@commands.command()
def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="fanout, crowd, flood, direct, idle, connect, resume, stalled, latency, rest, emit; "
            "all, where none is named.",
        ),
    ] = None,
    *,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="How often each is done; medians are shown.")] = 1,
    scale: Annotated[
        float, typer.Option(min=0.001, max=10, help="1 is full size; sockets, topics and rates follow it.")
    ] = 1.0,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="WHO", help="Only ours and this one, such as limit; may be given again. By default all."),
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Only ours, against nobody.")] = False,
    json: Annotated[Path | None, typer.Option(dir_okay=False, metavar="FILE", help="Keep the outcome there.")] = None,
) -> None:
    """Measure what the mesh costs on this machine, beside others that do the same work.

    ```
    # everything, three rounds, kept
    mesh bench --rounds 3 --json outcome.json

    # one event to a thousand sockets, against a C program that only writes
    mesh bench fanout --against limit

    # a first look, at a tenth of the size
    mesh bench --scale 0.1
    ```

    It starts all that it needs and ends it, on Linux, with a C compiler: what is measured on one core, the load on
    another. CPU is user and system time of what is measured. The load generator checks every frame: a contender
    that loses, repeats or swaps one fails. `docs/performance.md` says what the figures mean, and what they do not.
    """
    from mesh_cli.bench.command import bench as measure
    from mesh_cli.logs import log_to_nobody
    from mesh_cli.loop import run

    log_to_nobody()
    others = [] if alone else against
    raise typer.Exit(run(measure(names or (), rounds=rounds, scale=scale, against=others, json=json)))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command; what goes wrong is one sentence on standard error and an exit code above 0."""
    try:
        sys.exit(commands(arguments, prog_name="mesh", standalone_mode=False) or 0)
    except MeshError as error:
        _fail(str(error), 1)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "mesh"
        _fail(f"{error.format_message().rstrip('.')}. Try: {command} --help", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain about it once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - a person at a terminal gets a sentence
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        place = f" at {Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else ""
        _fail(f"this should not happen, please report it: {type(error).__name__}{place}: {error}", 1)


def _fail(sentence: str, code: int) -> NoReturn:
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    console.print("mesh:", style="bold red", end=" ")
    console.print(printable(sentence))
    sys.exit(code)
