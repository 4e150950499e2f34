from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from daena_mesh.errors import ConfigurationError
from mesh_edge.edge import Edge
from mesh_edge.settings import EdgeSettings
from mesh_edge.siblings import Siblings
from mesh_edge.whole import View, Whole
from tests.support.deadlines import within


class Asked(msgspec.Struct):
    times: int


ECHO = View("echo", Asked, str, lambda edge, asked: edge.edge_id * asked.times)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


@contextlib.asynccontextmanager
async def three(folder: Path) -> AsyncIterator[list[tuple[Whole, Edge]]]:
    """Three processes of one edge, all in this one."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for number in (1, 2, 3):
            whole, edge = Whole([ECHO], Siblings(folder, number, 3)), Edge(EdgeSettings(edge_id=f"e{number}"))
            await stack.enter_async_context(whole.answering(edge))
            found.append((whole, edge))
        yield found


async def test_each_is_asked_and_told_by_its_number(folder: Path) -> None:
    async with three(folder) as processes:
        for whole, edge in processes:
            assert await whole.each(ECHO, edge, Asked(2)) == ["e1e1", "e2e2", "e3e3"]


async def test_one_that_is_gone_or_answers_nonsense_is_none(folder: Path) -> None:
    async with three(folder) as [(whole, edge), *_]:
        (folder / "2").unlink()
        async with Siblings(folder, 3, 3).answering(lambda _: b"nonsense"):
            assert await whole.each(ECHO, edge, Asked(1)) == ["e1", None, None]


async def test_one_that_is_silent_is_none_after_a_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh_edge.siblings._ANSWERS_WITHIN_S", 0.05)
    async with three(folder) as [(whole, edge), *_], within(5):
        (folder / "3").unlink()
        import socket

        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(folder / "3"))
            silent.listen()
            assert await whole.each(ECHO, edge, Asked(1)) == ["e1", "e2", None]


async def test_a_question_that_nobody_understands_gets_no_answer(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Siblings(folder, 1, 2).answering(lambda line: msgspec.json.encode(msgspec.json.decode(line, type=int))):
        other = Siblings(folder, 2, 2)
        assert await other.ask(b"1") == [b"1"]
        assert await other.ask(b'"one"') == [None]
    assert "could not be answered" in caplog.text


async def test_one_that_is_started_again_takes_the_place_of_the_dead_one(folder: Path) -> None:
    (folder / "1").touch()
    async with Siblings(folder, 1, 2).answering(lambda line: line):
        assert await Siblings(folder, 2, 2).ask(b"there?") == [b"there?"]
    assert list(folder.iterdir()) == []


async def test_an_edge_of_one_process_answers_for_itself() -> None:
    edge = Edge(EdgeSettings(edge_id="e"))
    async with Whole().answering(edge):
        assert await Whole().each(ECHO, edge, Asked(3)) == ["eee"]
    assert (Whole().number, Whole().count) == (0, 1)


def test_a_place_survives_a_command_line(folder: Path) -> None:
    place = Siblings.parse(str(Siblings(folder, 2, 4)))
    assert (place.number, place.count, str(place)) == (2, 4, f"2/4:{folder}")


@pytest.mark.parametrize("text", ["", "1/2", "1/2:", "0/2:/x", "3/2:/x", "a/2:/x", "1:/x", "-1/2:/x"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--worker"):
        Siblings.parse(text)


def test_the_folder_goes_with_the_last_one(folder: Path) -> None:
    (folder / "2").touch()
    Siblings(folder, 1, 2).remove()
    assert folder.exists()
    (folder / "2").unlink()
    Siblings(folder, 2, 2).remove()
    assert not folder.exists()
