from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mesh_cli.bench.harness import Bench
from mesh_cli.bench.machine import CannotBench, Cores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="benches run on Linux")


def bench_at(folder: Path, scale: float = 1.0, against: tuple[str, ...] | None = None) -> Bench:
    return Bench(folder, Cores(0, 0), scale=scale, against=against)


def test_sizes_follow_the_scale_and_are_never_nothing(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, 0.05)
    assert (bench.sized(1_000), bench.sized(50), bench.sized(1), bench.sized(10, least=5)) == (50, 2, 1, 5)


def test_all_are_wanted_unless_some_are_named(tmp_path: Path) -> None:
    assert bench_at(tmp_path).wants("naive")
    some = bench_at(tmp_path, against=("ours", "limit"))
    assert (some.wants("limit"), some.wants("naive")) == (True, False)


def test_others_may_fail_with_a_note_and_ours_may_not(tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    for _ in range(2):
        with bench.forgiving("fanout", "naive"):
            raise CannotBench("it lost 3 events")
    assert bench.notes == ["fanout, naive: it lost 3 events"]
    with pytest.raises(CannotBench, match="it lost 3 events"), bench.forgiving("fanout", "ours"):
        raise CannotBench("it lost 3 events")
    assert len(bench.notes) == 1


def test_each_file_has_a_name_of_its_own(tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    assert bench.path("nats") != bench.path("nats")
    assert bench.path("nats").parent == tmp_path


async def test_a_child_that_ends_says_its_last_words(tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    command = ["/bin/sh", "-c", "echo no luck >&2"]
    async with bench.start("tool", command, core=Cores.chosen().load) as child:
        with pytest.raises(CannotBench, match="tool: it has ended; its last words: no luck"):
            await child.answer(dict)


async def test_a_child_that_is_silent_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    async with bench.start("tool", ["cat"], core=Cores.chosen().load) as child:
        with pytest.raises(CannotBench, match="it said nothing for 0 s"):
            await child.answer(dict, within_s=0.01)
        child.say('{"a": 1}')
        assert await child.answer(dict) == {"a": 1}
