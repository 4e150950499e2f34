"""Which messages are being written, as their pieces tell."""

from __future__ import annotations

from typing import Any

import pytest

from mesh_api.text_streams import TextStream, TextStreams


def piece(run: str = "a", index: object = 0, message_id: object = "m1", **more: Any) -> dict[str, Any]:
    return {"message_id": message_id, "sender": "daena", "run": run, "index": index, "text": "x", **more}


def test_a_stream_is_known_from_its_first_piece_to_its_newest() -> None:
    streams = TextStreams()
    streams.take("s1", 7, 100.0, piece(in_reply_to="q1"))
    streams.take("s1", 9, 101.0, piece(index=1))
    streams.take("s2", 8, 102.0, piece(message_id="m2"))
    assert list(streams) == [
        TextStream("s1", "m1", "daena", "a", 7, 9, 100.0, "q1"),
        TextStream("s2", "m2", "daena", "a", 8, 8, 102.0),
    ]
    assert [stream.key for stream in streams] == ["s1 m1", "s2 m2"]


def test_another_run_counts_from_where_it_begins() -> None:
    streams = TextStreams()
    streams.take("s1", 7, 100.0, piece())
    streams.take("s1", 8, 101.0, piece("b", 4))
    (stream,) = streams
    assert (stream.run, stream.first_seq, stream.last_seq) == ("a", 7, 8)
    streams.take("s1", 9, 102.0, piece("b", 0), "scout")
    streams.take("s1", 10, 103.0, piece("a", 1))
    (stream,) = streams
    assert (stream.run, stream.first_seq, stream.last_seq, stream.begun_s) == ("b", 9, 10, 100.0)
    assert stream.author == "scout"


def test_what_is_known_of_one_session_goes_on_by_itself() -> None:
    streams = TextStreams()
    streams.take("s1", 7, 100.0, piece())
    streams.take("s2", 8, 100.0, piece())
    streams.read_to = 8
    only = streams.only("s1")
    only.take("s1", 9, 101.0, piece(message_id="m2"))
    assert [stream.key for stream in only] == ["s1 m1", "s1 m2"]
    assert [stream.key for stream in streams] == ["s1 m1", "s2 m1"]
    assert only.read_to == 8
    assert list(streams.only("s3")) == []


def test_what_ended_is_forgotten() -> None:
    streams = TextStreams()
    streams.take("s1", 7, 100.0, piece())
    (stream,) = streams
    streams.forget(stream)
    streams.forget(stream)
    assert list(streams) == []


@pytest.mark.parametrize("payload", [{}, piece(message_id=""), piece(message_id=5), piece(message_id=["m"])])
def test_what_names_no_message_is_passed_over(payload: dict[str, Any]) -> None:
    streams = TextStreams()
    streams.take("s1", 7, 100.0, payload)
    assert list(streams) == []


def test_a_piece_may_say_next_to_nothing() -> None:
    streams = TextStreams()
    streams.take("s1", 7, 100.0, {"message_id": "m1", "run": 5, "sender": None, "in_reply_to": {}})
    assert list(streams) == [TextStream("s1", "m1", "", "", 7, 7, 100.0)]
