"""The commands that look, tell and measure: what they take, and their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mesh_cli.options import DATA_DIR, HOST, PORT, NatsUrl


def tail(
    subject: Annotated[str, typer.Argument(help="What to watch; * is one word of it, > the rest.")] = ">",
    *,
    since: Annotated[str, typer.Option(metavar="CURSOR", help="Begin after this position instead of now.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    nats_url: NatsUrl = "",
    edge: Annotated[str, typer.Option(metavar="URL", help="Watch through an edge of this mesh, and not NATS.")] = "",
    token_file: Annotated[
        Path | None, typer.Option(help="Where the token for the edge lies; read anew each time.")
    ] = None,
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

    # from outside NATS, by WebSocket
    mesh tail 'chat.s1.>' --edge https://mesh.example.com/ --token-file token.txt

    # what NATS refused to whom, and who came and went there (of `mesh up --secure`)
    mesh tail system.security.notice
    MESH_NATS_CREDS=.mesh/creds/system.creds mesh tail '$SYS.ACCOUNT.*.*'
    ```

    Texts are shown as texts: control characters in them are escaped.
    """
    from mesh_cli.logs import log_to_nobody
    from mesh_cli.loop import run
    from mesh_cli.tail import tail as watch

    log_to_nobody()
    watching = watch(
        subject,
        since=since or None,
        as_json=as_json,
        nats_url=nats_url or None,
        edge=edge or None,
        token_file=token_file,
    )
    raise typer.Exit(run(watching))


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


def token(
    user: Annotated[str, typer.Argument(help="Who it is for: the name under which they speak.")],
    *,
    read: Annotated[
        list[str], typer.Option(metavar="PATTERN", help="Subjects that may be read; may be repeated.")
    ] = [],  # noqa: B006 - typer copies it
    write: Annotated[list[str], typer.Option(metavar="PATTERN", help="Subjects that may be written; likewise.")] = [],  # noqa: B006 - likewise
    ttl: Annotated[str, typer.Option(metavar="TIME", help="How long it is good: 30s, 15m, 1h, 7d.")] = "1h",
    key_file: Annotated[
        str,
        typer.Option(metavar="PATH", help="Sign with this private key (PEM), or this secret, not with the mesh's own."),
    ] = "",
) -> None:
    """Print a token for a browser or a program, signed with `MESH_TOKEN_KEY` (or the first key of its file): HS256.

    With a private key it is RS256, ES256 or EdDSA, as that key is. It is from `MESH_TOKEN_ISSUER` and for
    `MESH_TOKEN_AUDIENCE`, where these are set.

    ```
    # one session: to see it, and to say something in it
    mesh token alice --read 'chat.s1.>' --read 'session.s1.>' --write chat.s1.message

    # an operator, for ten minutes
    mesh token root --read '>' --write '>' --ttl 10m

    # a key pair: the mesh has ed25519.pub as MESH_TOKEN_KEY_FILE, and cannot make tokens
    openssl genpkey -algorithm ed25519 -out ed25519.key && openssl pkey -in ed25519.key -pubout -out ed25519.pub
    mesh token root --read '>' --write '>' --key-file ed25519.key
    ```
    """
    from mesh_cli.tokens import print_token

    raise typer.Exit(print_token(user, read, write, ttl=ttl, key_file=key_file))


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


def top(
    *,
    every: Annotated[float, typer.Option(min=1, max=60, metavar="SECONDS", help="The pause between two looks.")] = 2,
    once: Annotated[bool, typer.Option("--once", help="Print what is seen after one pause, and end.")] = False,
    nats_url: NatsUrl = "",
) -> None:
    """Show edges, APIs, brains, streams and NATS nodes as they are now, and what goes through them.

    ```
    mesh top
    mesh top --once
    MESH_NATS_CREDS=.mesh/creds/users/ada.creds mesh top
    ```

    Ctrl-C ends it. The credentials of `mesh creds ops` are enough.
    """
    from mesh_cli.logs import log_to_nobody
    from mesh_cli.loop import run
    from mesh_cli.top.command import top as show

    log_to_nobody()
    raise typer.Exit(run(show(nats_url=nats_url or None, every_s=every, once=once)))


def epoch(
    streams: Annotated[
        list[str] | None, typer.Argument(metavar="[STREAM]...", help="RECORDS, SIGNALS; all, where none is named.")
    ] = None,
    *,
    nats_url: NatsUrl = "",
) -> None:
    """Say that streams were restored: positions of before count no more, and who has one is told a gap.

    ```
    nats backup restore account mesh-backup
    mesh epoch
    ```

    A restored stream goes on with the sequences of the backup, and gives those that came after it to others. Nobody
    could tell by a number alone. Do this before APIs and edges are started again.
    """
    from mesh_cli.epoch import epoch as renew
    from mesh_cli.logs import log_to_nobody
    from mesh_cli.loop import run

    log_to_nobody()
    raise typer.Exit(run(renew(streams or [], nats_url=nats_url or None)))


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="fanout, crowd, flood, direct, idle, connect, resume, stalled, latency, rest, emit, trust, slowloris; "
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
