"""Server-sent events carry the very objects that frames do, whatever line ends their JSON has."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from mesh_edge.wire import EVENT_STREAM
from tests.support.event_source import Parser

VALUES = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)
SPACES = st.sampled_from([None, 1, "\r\n", "\r", "\n \r\n"])


@given(st.dictionaries(st.text(), VALUES), SPACES, st.integers(1, 60))
def test_what_a_browser_reads_is_what_was_written(value: dict[str, object], indent: str | int | None, cut: int) -> None:
    text = json.dumps(value, indent=indent).encode()
    data = EVENT_STREAM.event(text, "Ra-1.Sb-2") + b":\n\n" + EVENT_STREAM.control(text)
    parser = Parser()
    events = [event for i in range(0, len(data), cut) for event in parser.feed(data[i : i + cut])]
    assert [(json.loads(event.data), event.last_event_id) for event in events] == [(value, "Ra-1.Sb-2")] * 2


def test_a_client_is_told_when_to_come_back() -> None:
    parser = Parser()
    (event,) = parser.feed(EVENT_STREAM.come_back(b'{"event_type":"reconnect"}', 250))
    assert (parser.retry_ms, event.data) == (250, '{"event_type":"reconnect"}')
