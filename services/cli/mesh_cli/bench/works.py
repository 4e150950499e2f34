"""All pieces of work, in the order in which they are run."""

from __future__ import annotations

from mesh_cli.bench.work import Work

WORKS: dict[str, Work] = {}
