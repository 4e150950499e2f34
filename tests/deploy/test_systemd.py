"""The units of systemd that are shipped, looked at by systemd itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from daena_mesh.settings import describe
from mesh_cli.configuration import SERVICES
from mesh_cli.main import commands
from tests.support.real_parties import systemd_analyze_path

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
UNITS = sorted(path.name for path in SHIPPED.iterdir())
OURS = [unit for unit in UNITS if unit.startswith("mesh-")]


def here(unit: str, folder: Path) -> Path:
    """The unit in ``folder``, with programs that this machine has."""
    text = (SHIPPED / unit).read_text(encoding="utf-8")
    text = re.sub(r"/opt/daena-mesh/bin/mesh", str(Path(sys.executable).with_name("mesh")), text)
    text = text.replace("/usr/local/bin/nats-server", str(shutil.which("true")))
    path = folder / unit
    path.write_text(text, encoding="utf-8")
    return path


def verify(*paths: Path) -> str:
    """What `systemd-analyze verify` has to say; empty for nothing."""
    command = [str(systemd_analyze_path()), "verify", "--man=no", "--recursive-errors=one", *map(str, paths)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout + told.stderr if told.returncode or told.stderr else ""


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_it(unit: str, tmp_path: Path) -> None:
    others = [here(other, tmp_path) for other in UNITS]
    path = next(other for other in others if other.name == unit)
    if "@" in unit:
        path = path.rename(path.with_name(unit.replace("@", "@8001")))
    assert verify(path) == ""


def test_it_would_find_what_is_wrong(tmp_path: Path) -> None:
    path = here("mesh-api.service", tmp_path)
    path.write_text(path.read_text().replace("ProtectHome=yes", "ProtectHome=perhaps"))
    assert "protect home" in verify(path)


@pytest.mark.parametrize("unit", OURS)
def test_the_command_takes_what_it_is_told(unit: str) -> None:
    """Its options and their values: those of a unit would else fail at the next start of a machine."""
    text = (SHIPPED / unit).read_text(encoding="utf-8").replace("%i", "8001")
    (line,) = re.findall(r"^ExecStart=/opt/daena-mesh/bin/mesh (.*)$", text, re.MULTILINE)
    name, *options = line.split()
    group = get_command(commands)
    assert isinstance(group, TyperGroup)
    group.commands[name].make_context(name, options)  # parses, and runs nothing


@pytest.mark.parametrize("unit", OURS)
def test_each_variable_is_a_setting_that_there_is(unit: str) -> None:
    """Nobody complains of one that is not: a key under a wrong name would leave an edge without tokens."""
    text = (SHIPPED / unit).read_text(encoding="utf-8")
    known = {setting.variable for _, _, settings in SERVICES for setting in describe(settings)}
    names = re.findall(r"^Environment=(\w+)=", text, re.MULTILINE)
    assert names
    assert set(names) <= known
