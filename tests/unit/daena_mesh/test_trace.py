from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh import trace
from daena_mesh.connection import header_block

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "text",
    [
        "",
        PARENT[:-1],
        PARENT.upper(),
        f"{PARENT}-more",
        f"{PARENT}\r\nNats-Msg-Id: x",
        "ff" + PARENT[2:],
        PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        PARENT.replace("b7ad6b7169203331", "0" * 16),
    ],
)
def test_what_is_no_traceparent_is_nothing(text: str) -> None:
    assert trace.checked(text) == ""


@given(st.text())
def test_whatever_a_stranger_sends_nothing_but_a_traceparent_is_taken(text: str) -> None:
    assert trace.checked(text) in {"", text}
    assert trace.checked(text).isascii()


def test_it_is_found_in_the_headers_of_a_message() -> None:
    block = header_block({"Nats-Msg-Id": "m", trace.HEADER: PARENT})
    assert trace.of_headers(block) == trace.of_headers(block.removesuffix(b"\r\n\r\n")) == PARENT
    assert trace.of_headers(block.replace(b"traceparent", b"Traceparent")) == PARENT
    assert trace.of_headers(header_block({"Nats-Msg-Id": PARENT})) == ""
    assert trace.of_headers(header_block({trace.HEADER: PARENT.replace("b7ad6b7169203331", "0" * 16)})) == ""


def test_a_block_belongs_to_what_it_is_told_also_where_no_spans_are_made() -> None:
    with trace.span("outer", "server", parent=PARENT):
        with trace.span("inner", "producer"):
            assert trace.current() == PARENT
        with contextlib.suppress(KeyError), trace.span("another", "consumer", parent=""):
            assert trace.current() == ""
            raise KeyError
        assert trace.current() == PARENT
    assert trace.current() == ""


class Spans:
    """A tracer that notes what it is asked for."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, str, dict[str, str | int]]] = []

    @contextlib.contextmanager
    def span(self, name: str, kind: trace.Kind, parent: str, attributes: dict[str, str | int]) -> Iterator[str]:
        self.made.append((name, kind, parent, attributes))
        yield f"span {len(self.made)}"


def test_spans_have_those_around_them_as_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = Spans()
    monkeypatch.setattr(trace, "_tracer", None)
    trace.switch_on(spans)
    with trace.span("GET", "server", parent=PARENT, path="/"), trace.span("store", "producer"):
        assert trace.current() == "span 2"
    assert spans.made == [("GET", "server", PARENT, {"path": "/"}), ("store", "producer", "span 1", {})]
