"""The payloads of known events as types of JavaScript: `make types` writes them into sdk/js/event_types.js."""

from __future__ import annotations

import sys
import types
import typing
from typing import Any

import msgspec

from daena_mesh.events import PAYLOADS, Session

HEAD = """/** What the events carry that the mesh knows, by type. Written by `make types`; nothing in it runs. */

/** @typedef {import("./topic.js").MeshEvent} MeshEvent */
/** @typedef {Record<string, any>} Open  keys that a type does not name pass through */
"""
TAIL = """
/**
 * What a listener is given, by what it listens to.
 *
 * @typedef {{ [T in keyof Payloads]: MeshEvent & { event_type: T, payload: Payloads[T] } } & {
 *   state: import("./line.js").ConnectionState,
 *   gap: { from?: string, to?: string, reason?: string },
 *   recovered: Open,
 *   error: any,
 *   change: any,
 * }} Heard
 */

export {};
"""
_NAMES = {str: "string", int: "number", Any: "any", type(None): "null", Session: "Session"}


def javascript(of: Any) -> str:
    """Name a type as JavaScript's comments do."""
    if of in _NAMES:
        return _NAMES[of]
    arguments = typing.get_args(of)
    match typing.get_origin(of):
        case typing.Literal:
            return " | ".join(f'"{value}"' for value in arguments)
        case typing.Union | types.UnionType:
            return " | ".join(map(javascript, arguments))
        case origin if origin is dict:
            return f"Record<string, {javascript(arguments[1])}>"
        case origin if origin in {list, tuple}:
            return f"{javascript(arguments[0])}[]"
    raise AssertionError(of)


def _typedef(struct: type[msgspec.Struct]) -> str:
    hints = typing.get_type_hints(struct)
    lines = [
        f" * {(struct.__doc__ or '').strip()}",
        " *",
        f" * @typedef {{Open & {struct.__name__}Keys}} {struct.__name__}",
    ]
    keys = [
        f" * @property {{{javascript(hints[field.name])}}} {field.name if field.required else f'[{field.name}]'}"
        for field in msgspec.structs.fields(struct)
        if field.name != "extra"
    ]
    return "\n".join(
        ["", "/**", f" * @typedef {{object}} {struct.__name__}Keys", *keys, " */", "", "/**", *lines, " */", ""]
    )


def written() -> str:
    """Give the whole module."""
    structs: list[type[msgspec.Struct]] = [Session, *PAYLOADS.values()]
    typedefs = [_typedef(struct) for struct in structs]
    by_type = [f' *   "{name}": {payload.__name__},' for name, payload in PAYLOADS.items()]
    payloads = "\n".join(["", "/**", " * @typedef {{", *by_type, " * }} Payloads", " */", ""])
    return "".join([HEAD, *typedefs, payloads, TAIL])


if __name__ == "__main__":
    sys.stdout.write(written())
