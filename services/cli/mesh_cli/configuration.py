"""`python -m mesh_cli.configuration` prints docs/configuration.md; with ``--check`` it fails where that differs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from daena_mesh.origin import OriginSettings
from daena_mesh.settings import MeshSettings, Setting, describe
from daena_mesh.tokens import TokenSettings
from mesh_api.settings import ApiSettings
from mesh_brain.settings import BrainSettings
from mesh_cli.logs import LogSettings
from mesh_edge.settings import EdgeSettings

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"

SERVICES: Sequence[tuple[str, str, type[msgspec.Struct]]] = (
    (
        "Everything that connects to the mesh",
        "Read by the SDK, the API, the edges and the `mesh` command.",
        MeshSettings,
    ),
    ("Tokens", "Read by the API and the edges.", TokenSettings),
    ("Origins of pages", "Read by the API and the edges.", OriginSettings),
    ("The log", "Read by the commands that serve.", LogSettings),
    ("The API", "Read by `mesh up` and `mesh api`.", ApiSettings),
    ("The edge", "Read by `mesh up` and `mesh edge`.", EdgeSettings),
    (
        "The brain",
        "Read by `mesh brain`, and so are `OPENAI_BASE_URL` and `OPENAI_API_KEY`: [brain.md](brain.md).",
        BrainSettings,
    ),
)

_HEAD = """\
# Configuration

Everything has a default that suits one machine. A setting is an environment variable; it is read once, when a
process starts. A wrong value is refused then, by the name of its variable. Options of the `mesh` command
(`mesh up --help`) count more than variables.

This page is generated from the code: `make docs`.
"""


def document() -> str:
    """Return the page."""
    described: set[str] = set()
    parts = [_HEAD]
    for title, whose, settings in SERVICES:
        rows = [setting for setting in describe(settings) if setting.variable not in described]
        described.update(row.variable for row in rows)
        if rows:
            parts.append("\n".join([f"## {title}", "", whose, "", *_table(rows), ""]))
    return "\n".join(parts)


def main(arguments: Sequence[str]) -> int:
    """Print the page, or with ``--check`` compare it; returns the exit code."""
    if "--check" not in arguments:
        sys.stdout.write(document())
        return 0
    if DOCUMENT.is_file() and DOCUMENT.read_text(encoding="utf-8") == document():
        return 0
    sys.stderr.write("docs/configuration.md is not what the settings say: run `make docs`\n")
    return 1


def _table(rows: Sequence[Setting]) -> Iterator[str]:
    yield "| variable | type | default | what it is for |"
    yield "|---|---|---|---|"
    for row in rows:
        default = f"`{_cell(row.default)}`" if row.default else "empty"
        yield f"| `{row.variable}` | {_cell(row.type)} | {default} | {_cell(row.description)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
