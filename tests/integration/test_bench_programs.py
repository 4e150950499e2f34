"""The C programs of the benches: the load generator finds what is wrong with a stream, and the limit loses nothing."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from websockets.asyncio.server import ServerConnection, serve

from mesh_cli.bench.compiler import source
from mesh_cli.bench.connect import guest_with_token
from mesh_cli.bench.contenders import LIMIT, running
from mesh_cli.bench.delivery import loading, publishing
from mesh_cli.bench.harness import Bench
from mesh_cli.bench.load import Guest, Load, Report
from mesh_cli.bench.machine import CannotBench, Cores
from mesh_cli.bench.publisher import Published, agent
from mesh_cli.bench.work import OURS
from tests.support.deadlines import within
from tests.support.real_parties import c_compiler_path
from tests.support.ws_client import RawClient

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="benches run on Linux"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    c_compiler_path()
    return Bench(tmp_path_factory.mktemp("bench"), Cores.chosen(), scale=0.05)


def event(seq: int) -> str:
    return f'{{"payload":{{"bench":"{seq:016}.{1:016}"}}}}'


@asynccontextmanager
async def load_of(bench: Bench, texts: Sequence[str | bytes], *arguments: str) -> AsyncIterator[Load]:
    """Give a load generator with one socket on a server that sends ``texts``."""

    async def handler(connection: ServerConnection) -> None:
        for text in texts:
            await connection.send(text)
        await connection.wait_closed()

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        command = [await bench.program("load"), str(port), *arguments]
        async with bench.start("load", command, core=bench.cores.load) as child:
            yield Load(child, bench.path("guests"))


async def report_on(bench: Bench, texts: Sequence[str | bytes]) -> Report:
    async with load_of(bench, texts) as load:
        await load.open([Guest("/ws/agent/b0000", protocol="-")], rate=100)
        async with within():
            while True:
                report = await load.report()
                if report.events + report.others + report.broken >= len(texts):
                    return report
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("sequence", "faults"),
    [
        ([1, 2, 3, 4], ""),
        ([1, 3, 2, 4], "1 out of order, 1 missing"),
        ([1, 2, 2, 3, 4], "1 events repeated"),
        ([1, 2, 4], "1 missing"),
        ([2, 3, 4], "sockets began with event 2 to 2, not 1"),
        ([1, 2, 3], "sockets ended with event 3 to 3, not 4"),
        ([], "sockets began with event 0 to 0, not 1, sockets ended with event 0 to 0, not 4"),
    ],
)
@pytest.mark.promise("P-BENCH-1")
async def test_the_load_generator_sees_what_is_wrong_with_a_stream(
    bench: Bench, sequence: list[int], faults: str
) -> None:
    report = await report_on(bench, ["hello", *map(event, sequence)])
    assert (report.events, report.others) == (len(sequence), 1)
    assert report.faults(4) == faults


async def test_a_number_that_is_none_is_a_broken_frame(bench: Bench) -> None:
    report = await report_on(bench, [event(1), event(2).replace("0001", "00x1")])
    assert (report.events, report.broken) == (1, 1)
    assert report.faults(1) == "1 frames broken"


async def test_frames_of_any_size_and_place_are_read(bench: Bench) -> None:
    padding = ["x" * size for size in (0, 1, 40, 80, 81, 82, 125, 126, 4_096, 65_400, 65_535, 65_536, 300_000)]
    report = await report_on(bench, [pad + event(seq) + pad for seq, pad in enumerate(padding, 1)])
    assert report.faults(len(padding)) == ""


async def test_a_socket_joins_with_the_words_that_say_so(bench: Bench) -> None:
    async with load_of(bench, ["hello", event(1), "you are in"], "--joined-by", "you are in") as load:
        opened = await load.open([Guest("/")] * 3, rate=1_000, most_unfinished=2)
        assert opened.joined == 3
        assert (await load.until(3)).faults(1) == ""
        await load.close()
        assert (await load.report()).sockets == 0


async def test_refusals_are_told(bench: Bench) -> None:
    async with (
        bench.mesh() as nats,
        bench.start("load", [await bench.program("load"), str(nats.port)], core=0) as child,
    ):
        load = Load(child, bench.path("guests"))
        with pytest.raises(CannotBench, match="2 of 2 sockets were refused"):
            await load.open([Guest("/")] * 2, rate=1_000)


async def test_what_it_is_not_told_right_it_refuses(bench: Bench) -> None:
    async with bench.start("load", [await bench.program("load"), "1"], core=bench.cores.load) as child:
        child.say("sing")
        with pytest.raises(CannotBench, match="load: it has ended; its last words: load: no such command: sing"):
            await child.answer(Report)


@pytest.mark.parametrize("name", ["limit", "load"])
async def test_they_compile_without_a_warning(tmp_path: Path, name: str) -> None:
    flags = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
    command = [str(c_compiler_path()), *flags, "-o", str(tmp_path / name), str(source(f"{name}.c"))]
    process = await asyncio.create_subprocess_exec(*command, stderr=PIPE)
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


# -- the limit ------------------------------------------------------------------------------------------------------


async def test_the_limit_survives_partial_writes(bench: Bench) -> None:
    events = 8_000
    async with (
        running(LIMIT, bench) as limit,
        publishing(bench, limit, 1) as publisher,
    ):
        client = await RawClient.connect(limit.port, f"/ws/agent/{agent(0)}")
        publisher.say(f"publish {events} 20000 1000")
        assert (await publisher.answer(Published)).acked == events
        shown: list[bytes] = []
        while len(shown) < events:
            shown += [payload for _, payload in await client.read()]
        client.sock.close()
    for seq, payload in enumerate(shown, 1):
        assert b'"bench":"%016d.' % seq in payload
        assert payload.startswith(b'{"topic":"agent_b0000","cursor":"S')


# -- ours -----------------------------------------------------------------------------------------------------------


async def test_ours_is_connected_to_with_tokens_and_asks_for_them(bench: Bench) -> None:
    key = "k" * 32
    async with running(OURS, bench, MESH_TOKEN_KEY=key) as edge, loading(bench, edge) as load:
        await load.open([guest_with_token(edge, key, number, 2) for number in range(4)], rate=100)
        assert (await load.report()).sockets == 4
        with pytest.raises(CannotBench, match="2 of 2 sockets were refused"):
            await load.open([edge.guest(agent(0)), guest_with_token(edge, "j" * 32, 0, 1)], rate=100)
