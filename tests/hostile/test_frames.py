"""A million frames of clients, made of good ones by chance, through what an edge does with them: parse, and answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from mesh_edge.auth import read_auth
from mesh_edge.client_messages import Budget, answer
from mesh_edge.frame_parser import parse
from mesh_edge.messages import ProtocolViolation, Text
from tests.fuzz.campaign import MOST_BLOCKS, MOST_BYTES, Memory
from tests.fuzz.mutation import mutations
from tests.fuzz.targets import TARGETS, json_of, masked

FRAMES = 1_000_000
LIMIT_BYTES = 300
VARIANTS = (0x00, 0x01, 0x07, 0x70)
"""What the first byte is changed by: other opcodes, other fragments, reserved bits."""
TOLD = (b'{"type":"ping"}', b'{"type":"subscribe","topic":"chat_s1"}', b'{"type":"auth","token":"a.b.c"}', b"[" * 200)


def inputs() -> Iterator[bytes]:
    seeds = [*TARGETS["frames"].seeds, *(masked(1, text) for text in TOLD)]
    for made in mutations(seeds, 22):
        if made:
            first, rest = made[0], made[1:]
            for change in VARIANTS:
                yield bytes([first ^ change]) + rest


@pytest.mark.promise("P-FRAME-1")
@pytest.mark.timeout(600)
def test_a_million_frames_neither_crash_nor_leak() -> None:
    said: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    fed = 0
    pending = warm = None
    for data in inputs():
        try:
            messages, pending = parse(data, pending, LIMIT_BYTES)
        except ProtocolViolation as violation:
            codes[violation.code] += 1
            messages, pending = list(violation.before), None
            fed += 1
        for message in messages:
            said[type(message).__name__] += 1
            if isinstance(message, Text):
                read_auth(message.text)
                frame, _ = answer(message.text, Budget())
                if frame:
                    json_of(frame)
        fed += len(messages)
        if warm is None and fed >= FRAMES // 10:
            warm = Memory.now()
        if fed >= FRAMES:
            break
    memory = Memory.now()
    assert warm is not None
    assert memory.blocks - warm.blocks <= MOST_BLOCKS
    assert memory.peak_bytes - warm.peak_bytes <= MOST_BYTES
    assert codes.keys() == {1002, 1007, 1009}
    least = FRAMES // 1_000
    assert min([*codes.values(), *(said[kind] for kind in ("Text", "Binary", "Ping", "Pong", "Close"))]) > least
