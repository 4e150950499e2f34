"""The map in docs/architecture.md names every module there is, and the documents name none that is not."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.support.tracked import ROOT

MAP = ROOT / "docs" / "architecture.md"
PACKAGES = {
    "daena_mesh": ROOT / "shared" / "events" / "daena_mesh",
    "mesh_api": ROOT / "services" / "api" / "mesh_api",
    "mesh_edge": ROOT / "services" / "ws_edge" / "mesh_edge",
    "mesh_brain": ROOT / "services" / "brain" / "mesh_brain",
    "mesh_cli": ROOT / "services" / "cli" / "mesh_cli",
}
_NAME = re.compile(rf"`((?:{'|'.join(PACKAGES)})\.\w+)((?:\.\w+)*)")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def names_in(path: Path) -> set[tuple[str, str]]:
    """Give each name of ours in a document: the module, and what follows it."""
    return set(_NAME.findall(path.read_text(encoding="utf-8")))


def test_every_module_is_on_the_map() -> None:
    modules = {
        ".".join([package, *path.relative_to(folder).with_suffix("").parts])
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*.py")
        if not path.stem.startswith("_")
    }
    missing = ", ".join(sorted(modules - {"".join(name) for name in names_in(MAP)}))
    assert missing == "", f"{missing}: put it on the map in docs/architecture.md, beside its noun"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_name_in_a_document_exists(path: Path) -> None:
    for module, rest in names_in(path):
        package, *names = f"{module}{rest}".split(".")
        found, folder = importlib.import_module(package), PACKAGES[package]
        for name in names:
            if (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists():
                importlib.import_module(f"{found.__name__}.{name}")
                folder /= name
            assert hasattr(found, name), f"{module}{rest}"
            found = getattr(found, name)
