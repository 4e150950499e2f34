"""All pieces of work, in the order in which they are run."""

from __future__ import annotations

from mesh_cli.bench import fanout, idle
from mesh_cli.bench.work import Work

WORKS: dict[str, Work] = {work.name: work for work in (fanout.FANOUT, fanout.DIRECT, idle.WORK)}
