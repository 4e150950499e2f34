from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from daena_mesh import nats_binary
from mesh_cli.main import main

CapSys = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def refused(capsys: CapSys, *arguments: str, code: int = 1) -> str:
    """Run a command that must fail with one sentence on standard error and nothing else."""
    assert run(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mesh: ")
    assert len(err.splitlines()) == 1, err
    return err


def test_help_teaches_with_examples(capsys: CapSys) -> None:
    assert run("--help") == 0
    assert 'mesh emit agent.scout.activity \'{"activity"' in capsys.readouterr().out


@pytest.mark.parametrize("command", ["up", "api", "edge", "brain", "tail", "emit", "doctor", "bench"])
def test_each_command_teaches_with_examples(capsys: CapSys, command: str) -> None:
    assert run(command, "--help") == 0
    shown = capsys.readouterr().out
    assert shown.partition("─ ")[0].count(f"mesh {command}") >= 3  # in the usage, and in examples
    assert "--inherit" not in shown
    assert "--worker " not in shown


@pytest.mark.parametrize("command", ["init", "agent", "service", "ops", "revoke", "list", "context"])
def test_each_command_of_credentials_teaches_too(capsys: CapSys, command: str) -> None:
    assert run("creds", command, "--help") == 0
    assert capsys.readouterr().out.count(f"mesh creds {command}") >= 2


@pytest.mark.parametrize("command", [(), ("creds",), ("cluster",)])
def test_without_a_command_it_shows_its_help_and_nothing_else(capsys: CapSys, command: tuple[str, ...]) -> None:
    assert run(*command) == 2
    out, err = capsys.readouterr()
    assert "Commands" in out
    assert err.strip() == ""


def test_version(capsys: CapSys) -> None:
    assert run("--version") == 0
    assert re.fullmatch(r"mesh \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], r"No such command 'nonsense'\. Try: mesh --help"),
        (["up", "--prot"], r"No such option: --prot.* Try: mesh up --help"),
        (["up", "--port", "99999"], r"Invalid value for '--port'.* Try: mesh up --help"),
        (["emit"], r"(?i)Missing argument 'subject'.* Try: mesh emit --help"),
    ],
)
def test_a_wrong_word_is_one_sentence(capsys: CapSys, arguments: list[str], sentence: str) -> None:
    assert re.search(sentence, refused(capsys, *arguments, code=2))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["up", "--host", "0.0.0.0"], "nobody would have to authenticate"),  # noqa: S104 - what is refused
        (["edge", "--host", "192.0.2.1"], "nobody would have to authenticate"),
        (["brain"], "OPENAI_BASE_URL is not set: it names the server of models, such as http://127.0.0.1:11434/v1"),
        (["brain", "--base-url", "127.0.0.1:11434"], "OPENAI_BASE_URL: '127.0.0.1:11434' is no URL"),
        (["brain", "--base-url", "http://127.0.0.1:1/v1", "--id", "a.b"], "brain_id 'a.b' must be 1 to 64 characters"),
        (["emit", "chat.*.message", "{}"], "chat subject '*' must be 1 to 64 characters"),
        (["emit", "agent.a.activity", "nope"], "the payload is no JSON"),
        (["emit", "agent.a.activity", "[1]"], "the payload must be a JSON object"),
        (["tail", "a b"], "'a b' is not a subject"),
        (["tail", "--since", "yesterday\x1b"], "yesterday\\x1b"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(capsys: CapSys, arguments: list[str], sentence: str) -> None:
    assert sentence in refused(capsys, *arguments)


def test_no_nats_is_one_sentence(capsys: CapSys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh_cli.emit.WAIT_S", 0.1)
    sentence = refused(capsys, "emit", "council.c.update", "{}", "--nats-url", "nats://127.0.0.1:1")
    assert "NATS at nats://127.0.0.1:1 is not reachable" in sentence
    assert "; start a mesh with `mesh up`, or name the NATS of another with MESH_NATS_URL" in sentence


def test_no_nats_server_says_what_to_install(
    capsys: CapSys, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_binary, "_packaged_binary", lambda: None)
    monkeypatch.setenv("PATH", "")
    data_dir = str(tmp_path_factory.mktemp("data"))
    sentence = refused(capsys, "up", "--port", "0", "--nats-port", "0", "--data-dir", data_dir)
    assert "nats-server was not found: install" in sentence


def test_a_brain_without_its_client_says_what_to_install(capsys: CapSys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh_cli.brain.find_spec", lambda _name: None)
    sentence = refused(capsys, "brain", "--base-url", "http://127.0.0.1:1/v1")
    assert "needs openai; install it: pip install 'daena-mesh[server,brain]'" in sentence


@pytest.mark.parametrize("command", [("demo",), ("up", "--demo", "--port", "0", "--nats-port", "0")])
def test_a_demo_without_its_packages_says_what_to_install(
    capsys: CapSys, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr("mesh_cli.demo.command.find_spec", lambda _name: None)
    sentence = refused(capsys, *command)
    assert "the demo needs psutil and tantivy; install them: pip install 'daena-mesh[server,demo]'" in sentence


def test_a_wrong_setting_is_refused_by_its_name(capsys: CapSys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_MAX_BODY_BYTES", "many")
    assert "MESH_MAX_BODY_BYTES" in refused(capsys, "up", "--port", "0", "--nats-port", "0")
    assert "MESH_MAX_BODY_BYTES" in refused(capsys, "edge", "--port", "0", "--workers", "2")
    assert "MESH_MAX_BODY_BYTES" in refused(capsys, "brain", "--base-url", "http://127.0.0.1:1/v1")


def test_what_nobody_thought_of_is_a_sentence_too(capsys: CapSys, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_text: str) -> None:
        raise RuntimeError("on fire")

    monkeypatch.setattr("mesh_cli.emit.parse_payload", broken)
    sentence = refused(capsys, "emit", "agent.a.activity", "{}")
    assert re.search(r"please report it: RuntimeError at test_main\.py:\d+: on fire", sentence)
