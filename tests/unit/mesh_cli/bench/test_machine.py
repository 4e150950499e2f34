from __future__ import annotations

import mmap
import os
import resource
import sys
import time

import pytest

from mesh_cli.bench.machine import (
    CannotBench,
    Cores,
    allow_sockets,
    check_platform,
    cpu_ns,
    describe_machine,
    on_core,
    private_bytes,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="benches run on Linux")


def test_cpu_is_what_the_process_used() -> None:
    before, began_s = cpu_ns(os.getpid()), time.process_time()
    while time.process_time() < began_s + 0.05:
        sum(range(1_000))
    used_s = (cpu_ns(os.getpid()) - before) / 1e9
    assert used_s == pytest.approx(time.process_time() - began_s, abs=0.03)


def test_memory_that_is_touched_is_private() -> None:
    with mmap.mmap(-1, 64 * 1_048_576, flags=mmap.MAP_PRIVATE) as held:  # fresh from the system, not freed before
        before = private_bytes(os.getpid())
        held.write(b"x" * len(held))
        assert private_bytes(os.getpid()) - before >= 48 * 1_048_576


def test_what_is_started_on_a_core_stays_there() -> None:
    cores, before = Cores.chosen(), os.sched_getaffinity(0)
    assert {cores.edge, cores.load} <= before
    assert cores.are_two == (len(before) > 1)
    with on_core(cores.load):
        assert os.sched_getaffinity(0) == {cores.load}
    assert os.sched_getaffinity(0) == before


def test_too_many_sockets_are_refused_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1_024, 4_096))
    with pytest.raises(CannotBench, match="5000 sockets need 5200 open files and a process may have 4096 here"):
        allow_sockets(5_000)
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, limits: raised.append(limits))
    allow_sockets(500)
    allow_sockets(2_000)
    assert raised == [(2_200, 4_096)]


def test_only_linux_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(CannotBench, match="needs Linux"):
        check_platform()


def test_the_machine_is_described() -> None:
    machine = describe_machine(**{"nats-server": "2.15.1"})
    assert machine.cpu
    assert machine.cores >= 1
    assert machine.memory_mib > 100
    assert machine.versions["nats-server"] == "2.15.1"
    assert {"daena-mesh", "nats-py", "uvicorn"} <= set(machine.versions)
