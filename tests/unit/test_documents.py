"""What the documents show works: snippets parse, commands and their options exist, links lead somewhere."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from mesh_cli.main import commands as mesh_commands
from tests.support.markdown import SHELLS, Block, blocks, commands, links, typed
from tests.support.real_parties import node_path
from tests.support.tracked import ROOT, tracked_files

DOCUMENTS = [path for path in tracked_files() if path.suffix == ".md"]
every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

# Programs of others, which a reader has or is told to get.
OTHERS = {
    "cd",
    "caddy",
    "cp",
    "curl",
    "docker",
    "echo",
    "export",
    "git",
    "helm",
    "kill",
    "kubectl",
    "nats",
    "nginx",
    "node",
    "npm",
    "ollama",
    "pip",
    "promtool",
    "sleep",
    "systemctl",
    "uv",
    "uvicorn",
}


def problem_with(command: list[str]) -> str | None:
    """Say what a reader who typed this would stumble over, or None."""
    program, *arguments = command
    name = program.rpartition("/")[2]
    if name == "make":
        missing = [word for word in arguments if word.isalpha() and word not in MAKE_TARGETS]
        return f"the Makefile has no {missing}" if missing else None
    if name == "mesh":
        return problem_with_mesh(arguments)
    if name.startswith("python"):
        return problem_with_python(arguments)
    if program.startswith(".venv/bin/"):
        found = (Path(sys.executable).parent / name).exists()
    elif "/" in program:
        found = (ROOT / program).exists()
    else:
        found = program in OTHERS
    return None if found else f"there is no {program}; if it is a program of others, add it to OTHERS"


def problem_with_mesh(arguments: list[str]) -> str | None:
    command, name, words = typer.main.get_command(mesh_commands), "mesh", list(arguments)
    while known := getattr(command, "commands", None):
        if not words or words[0].startswith("-"):
            return None
        if words[0] not in known:
            return f"there is no command {name} {words[0]}"
        command, name = known[words[0]], f"{name} {words.pop(0)}"
    options = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    return f"{name} has no {sorted(given - options)}" if given - options else None


def problem_with_python(arguments: list[str]) -> str | None:
    if arguments[:1] != ["-m"]:
        return None
    module = arguments[1]
    return None if importlib.util.find_spec(module) else f"there is no module {module}"


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("make up", None),
        ("make up ARGS='--port 1'", None),
        ("make coffee", "the Makefile has no"),
        (".venv/bin/mesh tail --json | grep x", "there is no grep"),
        ("mesh brew", "there is no command mesh brew"),
        ("mesh up --sugar 2", "has no ['--sugar']"),
        ("mesh creds agent scout --session s1", None),
        ("mesh creds brew", "there is no command mesh creds brew"),
        ("mesh creds agent --sugar 2", "mesh creds agent has no ['--sugar']"),
        ("python3 -m no_such_module_of_ours", "there is no module"),
        ("scripts/no-such-script", "there is no scripts/no-such-script"),
        ("scripts/bootstrap && .ci/run", None),
        ("MESH_NATS_URL=x \\\n  nats sub '>' > file 2>&1 # a comment", None),
        ("cat <<EOF\nnonsense\nEOF\nmake test", "there is no cat"),
    ],
)
def test_what_a_reader_would_stumble_over_is_found(script: str, problem: str | None) -> None:
    problems = [found for command in commands(script) if (found := problem_with(command))]
    assert (problem is None) == (problems == []), problems
    if problem is not None:
        assert len(problems) == 1
        assert problem in problems[0]


def test_only_what_follows_the_prompt_is_typed() -> None:
    block = Block("console", 1, "$ make up\nbootstrap: done\n$ curl \\\n  -s x\n{}\n")
    assert list(commands(typed(block))) == [["make", "up"], ["curl", "-s", "x"]]


def test_an_open_fence_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 is never closed"):
        list(blocks("text\n```sh\nmake up\n"))


def test_links_are_found_outside_code() -> None:
    document = "[a](docs/a.md#b) ![c](c.svg) [d](https://e) `[f](g)`\n```\n[h](i)\n```\n[j](#k)\n"
    assert list(links(document)) == ["docs/a.md", "c.svg"]


@every_document
def test_snippets_parse(path: Path, tmp_path: Path) -> None:
    for block in blocks(path.read_text(encoding="utf-8")):
        where = f"{path.relative_to(ROOT)}:{block.line}"
        if block.language in {"python", "py"}:
            compile(block.code, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        elif block.language == "pycon":
            for example in doctest.DocTestParser().get_examples(block.code):
                compile(example.source, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        elif block.language == "json":
            assert parses_as_json(block.code), f"{where}: call it jsonc or text if it leaves something out"
        elif block.language in {"js", "javascript"}:
            module = tmp_path / "snippet.mjs"
            module.write_text(block.code)
            assert complaint_of([str(node_path()), "--check", str(module)]) == "", where
        elif block.language in SHELLS:
            assert complaint_of(["sh", "-n"], typed(block)) == "", where


def parses_as_json(text: str) -> bool:
    """Say whether this is JSON, as a whole or one object a line."""
    for parts in ([text], text.splitlines()):
        try:
            for part in parts:
                json.loads(part)
        except ValueError:
            continue
        return True
    return False


def complaint_of(command: list[str], script: str = "") -> str:
    """Give what a checker says about a script, or nothing."""
    run = subprocess.run(command, input=script, text=True, capture_output=True, check=False, timeout=20)
    return run.stderr if run.returncode else ""


@every_document
def test_what_is_shown_can_be_typed(path: Path) -> None:
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.language not in SHELLS:
            continue
        where = f"{path.relative_to(ROOT)}:{block.line}"
        script = typed(block)
        assert script.strip(), f"{where}: a console block shows what is typed after '$ '"
        problems = [found for command in commands(script) if (found := problem_with(command))]
        assert problems == [], where


@every_document
def test_links_lead_somewhere(path: Path) -> None:
    document = path.read_text(encoding="utf-8")
    assert [target for target in links(document) if not (path.parent / target).exists()] == []
