"""What is missing on a user's machine skips; in continuous integration nothing may."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import real_parties

pytest_plugins = ["pytester"]

HOOKS = """
from tests.support.real_parties import pytest_make_collect_report, pytest_runtest_makereport
"""
BARE = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-rs")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a machine without any program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GOPATH", str(tmp_path))
    monkeypatch.delenv("GOBIN", raising=False)
    monkeypatch.delenv(real_parties.REQUIRE, raising=False)
    monkeypatch.setattr(real_parties, "_CHROMIUM_APPS", ())
    monkeypatch.setattr(real_parties, "_NGINX_PLACES", ())


PARTIES = [
    (real_parties.chromium_path, "install Chromium"),
    (real_parties.nats_cli_path, "install the nats command"),
    (real_parties.nginx_path, "install nginx"),
    (real_parties.caddy_path, "install Caddy"),
    (real_parties.systemd_analyze_path, "install systemd"),
    (real_parties.promtool_path, "install promtool"),
    (real_parties.helm_path, "install Helm"),
    (real_parties.compose_path, "build the reader of compose files"),
    (real_parties.node_path, "install Node"),
]


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(("party", "advice"), PARTIES)
def test_a_missing_party_skips_and_says_what_to_install(party: object, advice: str) -> None:
    assert callable(party)
    with pytest.raises(pytest.skip.Exception, match=advice):
        party()


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(("party", "advice"), PARTIES)
def test_a_missing_party_fails_where_it_is_required(
    party: object, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(party)
    monkeypatch.setenv(real_parties.REQUIRE, "1")
    with pytest.raises(pytest.fail.Exception, match=advice):
        party()


@pytest.mark.usefixtures("nowhere")
def test_the_nats_command_is_found_where_go_puts_it(tmp_path: Path) -> None:
    nats = tmp_path / "bin" / "nats"
    nats.parent.mkdir()
    nats.touch(mode=0o755)
    assert real_parties.nats_cli_path() == nats


def test_zero_requires_nothing() -> None:
    assert not real_parties.are_required({real_parties.REQUIRE: "0"})
    assert not real_parties.are_required({})
    assert real_parties.are_required({real_parties.REQUIRE: "1"})


@pytest.mark.parametrize(("required", "errors", "skipped"), [("0", 0, 1), ("1", 1, 0)])
def test_a_skipped_test_fails_where_parties_are_required(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: str, errors: int, skipped: int
) -> None:
    monkeypatch.setenv(real_parties.REQUIRE, required)
    pytester.makeconftest(HOOKS)
    pytester.makepyfile("import pytest\n@pytest.mark.skip(reason='no moon')\ndef test_moon(): pass")
    result = pytester.runpytest_inprocess(*BARE)
    result.assert_outcomes(errors=errors, skipped=skipped)
    result.stdout.fnmatch_lines(["*no moon*"])


@pytest.mark.parametrize(("required", "errors", "skipped"), [("0", 0, 1), ("1", 1, 0)])
def test_a_skipped_module_fails_where_parties_are_required(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: str, errors: int, skipped: int
) -> None:
    monkeypatch.setenv(real_parties.REQUIRE, required)
    pytester.makeconftest(HOOKS)
    pytester.makepyfile("import pytest\npytest.importorskip('no_such_module_of_ours')")
    result = pytester.runpytest_inprocess(*BARE)
    result.assert_outcomes(errors=errors, skipped=skipped)


def test_an_expected_failure_stays_one(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(real_parties.REQUIRE, "1")
    pytester.makeconftest(HOOKS)
    pytester.makepyfile("import pytest\n@pytest.mark.xfail(reason='known')\ndef test_it(): assert False")
    pytester.runpytest_inprocess(*BARE).assert_outcomes(xfailed=1)
