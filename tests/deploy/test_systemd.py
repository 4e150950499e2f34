"""The units of systemd that are shipped, looked at by systemd itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.real_parties import systemd_analyze_path

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
UNITS = sorted(path.name for path in SHIPPED.iterdir())


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


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.startswith("mesh-")])
def test_the_command_knows_what_it_is_told(unit: str) -> None:
    """Its options, that is: those of a unit would else fail at the next start of a machine."""
    text = (SHIPPED / unit).read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=/opt/daena-mesh/bin/mesh (.*)$", text, re.MULTILINE)
    command, *options = line.split()
    told = subprocess.run(
        [sys.executable, "-m", "mesh_cli", command, "--help"], capture_output=True, text=True, check=True
    )
    for option in options:
        if option.startswith("--"):
            assert option in told.stdout
