"""Alerts and dashboards: looked at by Prometheus' own tool, and held against the metrics that really exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.edge_command import edge_command
from tests.support.markdown import anchors
from tests.support.real_parties import promtool_path
from tests.support.running_mesh import RunningMesh

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
_metric = re.compile(r"\bmesh_[a-z_]+")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it beside the files."""
    command = [str(promtool_path()), *arguments]
    return subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "--lint-fatal", "mesh.rules.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "mesh.tests.yml"),
    ],
)
def test_prometheus_takes_it(arguments: tuple[str, ...]) -> None:
    told = promtool(*arguments)
    assert told.returncode == 0, told.stdout + told.stderr


def expressions() -> Iterator[str]:
    """Whatever asks Prometheus something."""
    yield (PROMETHEUS / "mesh.rules.yml").read_text(encoding="utf-8")
    for path in GRAFANA.glob("*.json"):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            yield from (target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("path", sorted(GRAFANA.iterdir()), ids=lambda path: path.name)
def test_prometheus_understands_what_a_dashboard_asks(path: Path, tmp_path: Path) -> None:
    """As rules, since that is what the tool reads."""
    panels: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["panels"]
    asked = [target["expr"].replace("$__rate_interval", "1m") for panel in panels for target in panel["targets"]]
    rules = [{"record": f"picture:{number}", "expr": expression} for number, expression in enumerate(asked)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": path.stem, "rules": rules}]}))
    told = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert told.returncode == 0, told.stdout + told.stderr


async def test_what_is_asked_for_exists(mesh_up: RunningMesh, tmp_path: Path) -> None:
    """A mesh, and an edge with workers, which tells of them."""
    async with (
        httpx.AsyncClient() as http,
        edge_command(mesh_up.nats_url, "--workers", "2", folder=tmp_path) as edge,
    ):
        told = "".join([(await http.get(f"{url}/metrics")).text for url in (mesh_up.url, edge.url)])
    exist = set(re.findall(r"^# TYPE (mesh_\S+)", told, re.MULTILINE))
    suffixed = {f"{name}{suffix}" for name in exist for suffix in ("", "_bucket", "_count", "_sum")}
    asked = {name for expression in expressions() for name in _metric.findall(expression)}
    assert asked <= suffixed, f"nobody tells {sorted(asked - suffixed)}"


def test_each_alert_leads_to_a_night_that_is_told() -> None:
    known = anchors((ROOT / "docs" / "operations.md").read_text(encoding="utf-8"))
    rules = (PROMETHEUS / "mesh.rules.yml").read_text(encoding="utf-8")
    runbooks = re.findall(r"runbook: docs/operations\.md#(\S+)", rules)
    assert len(runbooks) == rules.count("- alert:")
    assert set(runbooks) <= set(known)


def test_the_dashboards_are_what_is_written_of_them() -> None:
    making = "import sys; sys.path.insert(0, 'scripts'); import dashboards, json; print(json.dumps(dashboards.files()))"
    made = subprocess.run([sys.executable, "-c", making], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {path.name: path.read_text(encoding="utf-8") for path in GRAFANA.iterdir()} == json.loads(made.stdout), (
        "make docs writes them"
    )
