"""Inputs made of others by chance, where no fuzzer that watches coverage exists. The same seed gives the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

MOST_BYTES = 4_096
_INTERESTING = (0, 1, 125, 126, 127, 128, 129, 130, 136, 137, 138, 254, 255, *b'"\\{}[]:,.-*> \r\n\t0')
_INTERESTING_RUNS = (b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\ud800", b"1e999", b"[" * 600, b"\xfe\x00\x7e", bytes(8))


def mutations(seeds: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Give the seeds, and then mutations of them and of mutations, without end."""
    random = Random(seed)
    kept = list(seeds)
    yield from seeds
    while True:
        data = bytearray(random.choice(kept))
        for _ in range(random.choice((1, 1, 2, 3, 5, 8))):
            random.choice(_MUTATIONS)(data, random, kept)
        made = bytes(data[:MOST_BYTES])
        if random.random() < 0.02:  # some go on, so that faults add up
            if len(kept) < 4 * len(seeds):
                kept.append(made)
            else:
                kept[random.randrange(len(seeds), len(kept))] = made
        yield made


def _place(data: bytearray, random: Random) -> int:
    return random.randint(0, len(data))


def _set_byte(data: bytearray, random: Random, kept: Sequence[bytes]) -> None:
    at = _place(data, random)
    data[at : at + 1] = (random.choice(_INTERESTING) if random.random() < 0.5 else random.randrange(256)).to_bytes()


def _flip_bit(data: bytearray, random: Random, kept: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _insert(data: bytearray, random: Random, kept: Sequence[bytes]) -> None:
    at = _place(data, random)
    data[at:at] = random.choice(_INTERESTING_RUNS) if random.random() < 0.3 else random.randbytes(random.randint(1, 6))


def _remove(data: bytearray, random: Random, kept: Sequence[bytes]) -> None:
    at = _place(data, random)
    del data[at : at + random.choice((1, 1, 2, 4, 16, 256))]


def _repeat(data: bytearray, random: Random, kept: Sequence[bytes]) -> None:
    at = _place(data, random)
    data[at:at] = data[at : at + random.choice((1, 4, 16, 64))] * random.choice((1, 2, 20))


def _splice(data: bytearray, random: Random, kept: Sequence[bytes]) -> None:
    other = random.choice(kept)
    begin = random.randint(0, len(other))
    at = _place(data, random)
    data[at : at + random.choice((0, 1 << 30))] = other[begin:]


_MUTATIONS: tuple[Callable[[bytearray, Random, Sequence[bytes]], None], ...] = (
    _set_byte,
    _set_byte,
    _flip_bit,
    _flip_bit,
    _insert,
    _remove,
    _repeat,
    _splice,
)
