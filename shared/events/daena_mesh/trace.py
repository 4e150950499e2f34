"""Which trace belongs to what is done here: a ``traceparent`` (W3C Trace Context) that goes with events and questions.

It is handed on in any case, from a request to what it stores and from a question to its answer, so that
whoever looks at the log sees what belongs together. Spans with times are made where `daena_mesh.otel` is switched on.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal, Protocol

Kind = Literal["server", "producer", "consumer"]

_current: ContextVar[str] = ContextVar("traceparent", default="")
_well_formed = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
_in_headers = re.compile(
    rb"\r\ntraceparent: *([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}) *\r\n", re.IGNORECASE
).search

HEADER = "traceparent"


class Tracer(Protocol):
    """Who makes spans."""

    def span(
        self, name: str, kind: Kind, parent: str, attributes: dict[str, str | int]
    ) -> contextlib.AbstractContextManager[str]:
        """Time a block that belongs to the trace of ``parent`` (empty: to a new one); gives its own traceparent."""


_tracer: Tracer | None = None


def switch_on(tracer: Tracer) -> None:
    """Have spans made from now on, in this process."""
    global _tracer  # noqa: PLW0603 - a process has one, as it has one log
    _tracer = tracer


def is_on() -> bool:
    """Whether spans are made."""
    return _tracer is not None


def current() -> str:
    """The traceparent of what is done in this task; empty: none."""
    return _current.get()


def checked(text: str) -> str:
    """``text`` if it is a traceparent, else nothing: that of a stranger may be anything."""
    return text if _well_formed(text) else ""


def of_headers(block: bytes) -> str:
    """The traceparent in the headers of a message of NATS, empty where there is none."""
    found = _in_headers(block + b"\r\n")
    return checked(found[1].decode().lower()) if found else ""


@contextlib.contextmanager
def span(name: str, kind: Kind, *, parent: str | None = None, **attributes: str | int) -> Iterator[None]:
    """Do a block as part of the trace of ``parent``, by default of the one that this task belongs to."""
    parent = current() if parent is None else parent
    if _tracer is None:
        with _belonging_to(parent):
            yield
        return
    with _tracer.span(name, kind, parent, attributes) as own, _belonging_to(own):
        yield


@contextlib.contextmanager
def _belonging_to(parent: str) -> Iterator[None]:
    before = _current.set(parent)
    try:
        yield
    finally:
        _current.reset(before)
