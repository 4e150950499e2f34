"""All pieces of work, in the order in which they are run."""

from __future__ import annotations

from mesh_cli.bench import connect, emit, fanout, flood, idle, latency, rest, resume, slowloris, stalled, trust
from mesh_cli.bench.work import Work

WORKS: dict[str, Work] = {
    work.name: work
    for work in (
        *(fanout.FANOUT, fanout.CROWD, flood.WORK, fanout.DIRECT, idle.WORK, connect.WORK, resume.WORK),
        *(stalled.WORK, latency.WORK, rest.WORK, emit.WORK, trust.WORK, slowloris.WORK),
    )
}
