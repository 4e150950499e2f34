from __future__ import annotations

import json
from pathlib import Path

import pytest

from daena_mesh.context import read_context
from daena_mesh.errors import ConfigurationError
from daena_mesh.mesh import authority_of, whereabouts
from daena_mesh.settings import MeshSettings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "nats" / "context").mkdir(parents=True)
    return tmp_path


def write(home: Path, name: str, content: object) -> dict[str, str]:
    (home / "nats" / "context" / f"{name}.json").write_text(
        content if isinstance(content, str) else json.dumps(content)
    )
    return {"XDG_CONFIG_HOME": str(home)}


@pytest.mark.parametrize(
    ("content", "urls", "credentials"),
    [
        ({}, ["nats://127.0.0.1:4222"], None),
        (
            {"url": "nats://a:1, nats://b:2", "creds": "/c.creds", "socks_proxy": ""},
            ["nats://a:1", "nats://b:2"],
            "/c.creds",
        ),
        ({"url": "nats://a", "user": "u", "password": "p"}, ["nats://u:p@a"], None),
        ({"url": "a:4222", "token": "t"}, ["nats://t@a:4222"], None),
        ({"url": "tls://own:secret@a", "user": "u"}, ["tls://own:secret@a"], None),
    ],
)
def test_a_context_is_read_as_the_cli_wrote_it(
    home: Path, content: object, urls: list[str], credentials: str | None
) -> None:
    context = read_context("ops", write(home, "ops", content))
    assert (list(context.urls), context.credentials) == (urls, credentials)


def test_it_is_found_under_the_home_directory(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    directory = tmp_path / ".config" / "nats" / "context"
    directory.mkdir(parents=True)
    (directory / "ops.json").write_text('{"url":"nats://a"}')
    assert list(read_context("ops", {"HOME": str(tmp_path)}).urls) == ["nats://a"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\x00b", "x" * 129, "a b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^MESH_NATS_CONTEXT: .* is not the name of a context"):
        read_context(name, {})


@pytest.mark.parametrize("content", ["", "[]", '{"url":5}', "\x00"])
def test_a_broken_file_is_named(home: Path, content: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^MESH_NATS_CONTEXT: .*ops\.json cannot be read"):
        read_context("ops", write(home, "ops", content))


def test_a_missing_context_is_named(home: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^MESH_NATS_CONTEXT: no context 'absent'"):
        read_context("absent", {"XDG_CONFIG_HOME": str(home)})


def test_a_url_counts_more_than_a_context_and_both_more_than_what_runs_here(home: Path) -> None:
    write(home, "ops", {"url": "nats://ops", "creds": "/ops.creds"})
    assert whereabouts(MeshSettings(nats_url="nats://a, nats://b,", nats_context="ops")) == (
        ["nats://a", "nats://b"],
        None,
    )
    assert whereabouts(MeshSettings(nats_context="ops")) == (["nats://ops"], "/ops.creds")
    assert whereabouts(MeshSettings(nats_context="ops", nats_creds="/mine")) == (["nats://ops"], "/mine")
    assert whereabouts(MeshSettings()) == (["nats://127.0.0.1:4222"], None)


def test_who_signs_the_certificates_is_the_settings_or_the_contexts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("own.pem", "its.pem"):
        (tmp_path / name).touch()
    write(home, "cluster", {"url": "tls://a", "ca": str(tmp_path / "its.pem")})
    assert authority_of(MeshSettings()) is None
    assert authority_of(MeshSettings(nats_context="cluster")) == str(tmp_path / "its.pem")
    own = str(tmp_path / "own.pem")
    assert authority_of(MeshSettings(nats_context="cluster", nats_ca=own)) == own
    with pytest.raises(ConfigurationError, match=r"MESH_NATS_CA: /nowhere/ca\.pem cannot be read"):
        authority_of(MeshSettings(nats_ca="/nowhere/ca.pem"))
