"""Promises by name: what docs/promises.md promises, and which tests hold it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

NAME = re.compile(r"P(?:-[A-Z][A-Z0-9]*)+-[0-9]+")
# A promise is a line that begins with its name: in a list, in a table, or alone.
_LINE = re.compile(rf"^[\s|*+-]*[`*]*({NAME.pattern})\b", re.MULTILINE)


def promised(document: str) -> list[str]:
    """List the names of the promises that a document makes, in its order, repeated where it repeats them."""
    return _LINE.findall(document)


def held(source: str) -> Iterator[str]:
    """Give the names that a test module carries in ``pytest.mark.promise("…")``, however it is attached.

    Raises:
        SyntaxError: this is no Python.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "promise":
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def held_in(modules: Iterable[Path]) -> set[str]:
    """Collect the names that these test modules carry."""
    return {name for module in modules for name in held(module.read_text(encoding="utf-8"))}
