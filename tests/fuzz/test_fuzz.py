"""`make fuzz` in small: some thousand inputs for each target, and that it finds what it looks for."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz.__main__ import ATHERIS, CHANCE
from tests.fuzz.campaign import Campaign, Check, Crash, Leak
from tests.fuzz.mutation import mutations
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
ENGINES = [ATHERIS, CHANCE] if importlib.util.find_spec(ATHERIS) is not None else [CHANCE]

PLANTED = """
import sys
from tests.fuzz import targets
from tests.fuzz.__main__ import main

hoard = bytearray()

def refuses_0x88(data):
    if 0x88 in data:
        raise ZeroDivisionError("planted")

targets.TARGETS["crash"] = targets.Target(refuses_0x88, [b"abc"])
targets.TARGETS["leak"] = targets.Target(lambda data: hoard.extend(bytes(100_000)), [b"abc"])
sys.exit(main(sys.argv[1:]))
"""


def campaign(check: Check, inputs: int, said: list[str]) -> None:
    running = Campaign("planted", check, inputs, said.append)
    for data in mutations([b"one", b"another"], 1):
        if running.is_done:
            return
        running.feed(data)


def fuzz(*arguments: str, program: tuple[str, ...] = ("-m", "tests.fuzz")) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.promise("P-FRAME-1")
@pytest.mark.parametrize("name", TARGETS)
def test_some_thousand_inputs_neither_crash_nor_leak(name: str) -> None:
    check, seeds = TARGETS[name]
    said: list[str] = []
    running = Campaign(name, check, 2_000, said.append)
    for data in islice(mutations(seeds, 7), 2_000):
        running.feed(data)
    assert running.is_done
    assert len(said) == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_the_command_says_how_far_it_is_and_that_all_went_well(engine: str) -> None:
    fuzzed = fuzz("--engine", engine, "--inputs", "2000", "--target", "positions")
    assert fuzzed.returncode == 0, fuzzed.stdout + fuzzed.stderr
    lines = fuzzed.stdout.splitlines()
    assert lines[0] == f"fuzzing with {engine}, 2,000 inputs for each target, seed 1"
    assert [line.partition(" inputs")[0] for line in lines[1:3]] == ["positions: 1,000", "positions: 2,000"]
    assert lines[-1] == "positions: no crash, no leak"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_crash_ends_the_command_with_the_input_that_made_it(engine: str) -> None:
    found = fuzz("--engine", engine, "--inputs", "100000", "--target", "crash", program=("-c", PLANTED))
    assert found.returncode == 1, found.stdout + found.stderr
    assert found.stdout.splitlines()[-3:] == [
        "crash: Crash: ZeroDivisionError: planted",
        "again: python -m tests.fuzz --target crash --reproduce '88'",
        "crash: failed",
    ]
    again = fuzz("--target", "crash", "--reproduce", "88", program=("-c", PLANTED))
    assert again.returncode == 1
    assert "ZeroDivisionError: planted" in again.stderr


def test_a_crash_is_made_small() -> None:
    def check(data: bytes) -> None:
        assert not (b"a" in data and b"e" in data[data.index(b"a") :])

    with pytest.raises(Crash) as crash:
        campaign(check, 100_000, [])
    assert crash.value.data == b"ae"
    assert str(crash.value).startswith("AssertionError")


def test_objects_that_stay_are_a_leak() -> None:
    kept: list[object] = []
    said: list[str] = []
    with pytest.raises(Leak, match=r"objects, .* KiB since the warm-up"):
        campaign(lambda data: kept.append(bytearray(data)), 3_000, said)
    assert len(said) == 3


def test_bytes_that_stay_are_a_leak() -> None:
    found = fuzz("--engine", CHANCE, "--inputs", "2000", "--target", "leak", program=("-c", PLANTED))
    assert found.returncode == 1, found.stdout + found.stderr
    assert "leak: Leak: " in found.stdout


def test_the_same_seed_gives_the_same_inputs() -> None:
    seeds = [b"one", b"another"]
    first, again, other = (list(islice(mutations(seeds, seed), 500)) for seed in (1, 1, 2))
    assert first == again != other
    assert first[:2] == seeds
    assert len(set(first)) > 400
