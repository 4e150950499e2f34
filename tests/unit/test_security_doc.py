"""What docs/security.md says is held by a test is held by a test that is there."""

from __future__ import annotations

import re

import pytest

from tests.support.tracked import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ATTACKS = DOCUMENT.partition("## What an attacker cannot do")[2].partition("\n## ")[0]
ROWS = [line for line in ATTACKS.splitlines() if line.startswith("| ")][1:]

DEMANDED = [
    *("cross-site WebSocket hijack", "token replay after revocation", "expired token on a live socket", "wildcard ids"),
    *("subject injection", "agent impersonation", "inbox snooping", "stream deletion by an agent", "poison messages"),
    *("slowloris", "compression bomb", "log injection", "stored XSS", "path tricks", "host-header tricks"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_each_row_names_a_test_that_is_there(row: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
    assert named, row
    for path, test in named:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(?:async )?def {test}\(", source, re.MULTILINE), f"{path} has no {test}"


@pytest.mark.parametrize("attack", DEMANDED)
def test_no_attack_is_left_out(attack: str) -> None:
    assert any(attack in row.split("|")[1] for row in ROWS)
