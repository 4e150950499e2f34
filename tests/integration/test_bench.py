"""Each bench at a twentieth of its size, for correctness alone: nothing here looks at how fast anything is."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import msgspec
import pytest

from mesh_cli.bench.contenders import EVERYBODY
from mesh_cli.bench.outcome import Done, Outcome
from tests.support.commands import MESH, refused
from tests.support.deadlines import eventually
from tests.support.real_parties import c_compiler_path

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="benches run on Linux"),
]


@pytest.fixture(scope="module", autouse=True)
def c_compiler() -> Path:
    return c_compiler_path()


async def bench_of(name: str, folder: Path, *arguments: str) -> Done:
    """Run `mesh bench` for one piece of work at a twentieth; give what it kept."""
    kept = folder / "outcome.json"
    process = await asyncio.create_subprocess_exec(
        *(*MESH, "bench", name, "--scale", "0.05", "--json", str(kept), *arguments), stdout=PIPE, stderr=PIPE
    )
    shown, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert f"{name}: " in shown.decode()
    outcome = msgspec.json.decode(kept.read_bytes(), type=Outcome)
    assert (outcome.scale, outcome.machine.versions["nats-server"]) != (1, "")
    (done,) = outcome.works
    assert done.work == name
    return done


def contenders_in(done: Done) -> list[list[str]]:
    return [[row.contender for row in measure.rows] for measure in done.measures]


@pytest.mark.promise("P-BENCH-1")
async def test_everybody_delivers_everything_in_order(tmp_path: Path) -> None:
    done = await bench_of("fanout", tmp_path)
    assert contenders_in(done) == [list(EVERYBODY)] * 2
    assert [measure.name for measure in done.measures] == ["CPU a delivery", "p99 of the delay"]
    assert all(row.value > 0 for measure in done.measures for row in measure.rows)
    assert [row.ratio is None for row in done.measures[0].rows] == [False, True, False, False]
    assert all(measure.is_reached is None for measure in done.measures)


@pytest.mark.parametrize(
    ("name", "against", "measures"),
    [
        ("crowd", "limit", 2),
        ("direct", "limit", 2),
        ("flood", "limit", 2),
        ("idle", "nats-server", 2),
        ("connect", "naive", 2),
        ("trust", "open", 4),
    ],
)
async def test_each_bench_runs(tmp_path: Path, name: str, against: str, measures: int) -> None:
    done = await bench_of(name, tmp_path, "--against", against)
    assert contenders_in(done) == [["ours", against]] * measures


async def test_clients_that_come_back_are_given_all_they_missed(tmp_path: Path) -> None:
    done = await bench_of("resume", tmp_path, "--alone")
    assert [measure.name for measure in done.measures] == [
        "CPU an event, one topic",
        "longest wait of publishers, one topic",
        "CPU an event, a topic for each",
        "longest wait of publishers, a topic for each",
    ]
    assert all(row.value > 0 for measure in done.measures[1::2] for row in measure.rows)


async def test_whoever_takes_nothing_is_given_all_of_it_later(tmp_path: Path) -> None:
    done = await bench_of("stalled", tmp_path, "--alone")
    both = ["ours", "nobody stalls"]
    assert {measure.name: [row.contender for row in measure.rows] for measure in done.measures} == {
        "p99 of the delay": both,
        "CPU a delivery": both,
        "memory that came on top": ["ours"],
    }


async def test_half_open_handshakes_disturb_no_delivery(tmp_path: Path) -> None:
    done = await bench_of("slowloris", tmp_path, "--alone")
    assert contenders_in(done) == [["ours", "nobody drips"]] * 2


async def test_nothing_is_left_of_a_bench_that_was_killed(tmp_path: Path) -> None:
    command = [*MESH, "bench", "fanout", "--alone"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
    started: set[int] = set()

    def descendants(pid: int) -> set[int]:
        children = {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
        return children.union(*map(descendants, children))

    def are_all_there() -> bool:
        started.update(descendants(process.pid))
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in started]
        return any(b"/load\0" in command for command in commands)

    await eventually(are_all_there, within_s=30)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    await eventually(lambda: not any(is_running(pid) for pid in started), within_s=20)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_wrong_words_are_refused_with_the_right_ones() -> None:
    assert "there is no bench 'sing'; there are fanout, crowd, flood, direct" in refused("bench", "sing")
    assert "--against 'nobody' is none of" in refused("bench", "fanout", "--against", "nobody")
    assert "there is no directory" in refused("bench", "fanout", "--json", "/nowhere/at/all.json")


def test_a_missing_compiler_is_one_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "CC": ""}
    done = subprocess.run([*MESH, "bench"], env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "install gcc or clang" in done.stderr
    assert len(done.stderr.splitlines()) == 1
