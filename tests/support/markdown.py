"""What a Markdown document shows as code, and where it points to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+) *(?P<language>[\w+-]*)")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)(?: \"[^\"]*\")?\)")
_OPERATORS = frozenset({"|", "||", "&", "&&", ";", "(", ")", "|&"})
_REDIRECTIONS = re.compile(r"[<>]+&?|&>+")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)

SHELLS = frozenset({"sh", "bash", "shell", "console"})


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language (lower case, may be empty), its first line's number, its text."""

    language: str
    line: int
    code: str


def blocks(document: str) -> Iterator[Block]:
    """Give the fenced blocks of a document (CommonMark 4.5), without their indentation.

    Raises:
        ValueError: a fence is never closed.
    """
    lines = enumerate(document.splitlines(), 1)
    for number, line in lines:
        opening = _FENCE.match(line)
        if opening is None:
            continue
        code: list[str] = []
        for _, inner in lines:
            if inner.strip().startswith(opening["fence"]) and not inner.strip().strip(opening["fence"][0]):
                break
            code.append(inner.removeprefix(opening["indent"]))
        else:
            raise ValueError(f"the fence of line {number} is never closed")
        yield Block(opening["language"].lower(), number + 1, "\n".join(code) + "\n")


def links(document: str) -> Iterator[str]:
    """Give the targets of links and pictures that lie in the repository, without their fragment."""
    outside_code = re.sub(r"^ *(```+|~~~+).*?^ *\1 *$", "", document, flags=re.DOTALL | re.MULTILINE)
    for match in _LINK.finditer(re.sub(r"`[^`]*`", "", outside_code)):
        target = match["target"].partition("#")[0]
        if target and not re.match(r"[a-z]+:", target):
            yield target


def typed(block: Block) -> str:
    """Give what a person types: in a ``console`` block what follows ``$ ``, else all of it."""
    if block.language != "console":
        return block.code
    script: list[str] = []
    continued = False
    for line in block.code.splitlines():
        if line.startswith("$ ") or continued:
            script.append(line.removeprefix("$ "))
            continued = line.endswith("\\")
    return "\n".join(script) + "\n"


def commands(script: str) -> Iterator[list[str]]:
    """Give each simple command of a shell script as its words, without redirections and here-documents.

    Raises:
        ValueError: a quotation is never closed.
    """
    pending = ""
    until: str | None = None
    for line in script.splitlines():
        if until is not None:
            until = None if line.strip() == until else until
            continue
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        try:
            words = _words(pending)
        except ValueError:
            pending += "\n"  # a quotation goes on
            continue
        pending = ""
        if "<<" in words:
            until = words[words.index("<<") + 1].strip("-'\"")
        yield from _simple(words)
    if pending.strip():
        _words(pending)


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    lexer.whitespace_split = True
    return list(lexer)


def _simple(words: list[str]) -> Iterator[list[str]]:
    command: list[str] = []
    skip = False
    for word in [*words, ";"]:
        if word in _OPERATORS:
            if command:
                yield command
            command = []
        elif _REDIRECTIONS.fullmatch(word):
            skip = True
        elif skip:
            skip = False
        elif command or not _ASSIGNMENT.fullmatch(word):
            command.append(word)


def anchors(document: str) -> list[str]:
    """Give the fragments by which its headings are reached, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*?) *$", document, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
