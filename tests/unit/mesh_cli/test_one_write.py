"""Head and body of a response leave together."""

from __future__ import annotations

import asyncio

from mesh_cli.one_write import OneWrite


class Kept(asyncio.Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def test_what_is_written_in_one_turn_is_one_write() -> None:
    transport = Kept()
    responses = OneWrite(asyncio.get_running_loop(), transport)
    for piece in (b"head", b"body"):
        responses.write(piece)
    assert transport.written == []
    await asyncio.sleep(0)
    assert transport.written == [b"headbody"]
    responses.write(b"more")
    await asyncio.sleep(0)
    assert transport.written == [b"headbody", b"more"]


async def test_closing_sends_first_what_was_written() -> None:
    transport = Kept()
    responses = OneWrite(asyncio.get_running_loop(), transport)
    responses.write(b"last words")
    responses.close()
    assert transport.written == [b"last words"]
    assert responses.is_closing()
    await asyncio.sleep(0)
    assert transport.written == [b"last words"]


async def test_who_is_about_to_write_past_it_has_it_sent_before() -> None:
    transport = Kept()
    responses = OneWrite(asyncio.get_running_loop(), transport)
    responses.write(b"first")
    responses.flush()
    transport.write(b"second")
    await asyncio.sleep(0)
    assert transport.written == [b"first", b"second"]


async def test_nothing_is_written_to_a_transport_that_has_gone() -> None:
    transport = Kept()
    responses = OneWrite(asyncio.get_running_loop(), transport)
    responses.write(b"too late")
    transport.close()
    await asyncio.sleep(0)
    assert transport.written == []
