"""What is held back comes out in order."""

from __future__ import annotations

from mesh_edge.cork import Cork


def test_what_is_written_is_held_in_order() -> None:
    cork = Cork(b"answer")
    assert not cork.is_closing()
    cork.write(b" and")
    cork.write(b" greeting")
    assert cork.get_write_buffer_size() == len(b"answer and greeting")
    assert cork.held() == b"answer and greeting"
