from __future__ import annotations

from types import SimpleNamespace as Is
from typing import Any

import pytest

from mesh_brain.chunk import Chunk, read


def chunk(finish_reason: Any = None, **delta: Any) -> Any:
    return Is(choices=[Is(delta=Is(**delta), finish_reason=finish_reason)], usage=None)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (chunk(content="a"), Chunk("a", is_alive=True)),
        (chunk(content="", role="assistant"), Chunk()),
        (chunk(content=None, reasoning_content="hm"), Chunk(is_alive=True)),
        (chunk(reasoning="hm"), Chunk(is_alive=True)),
        (chunk(content=["odd"]), Chunk()),
        (chunk("stop"), Chunk(finish_reason="stop")),
        (chunk(content="a\ud83d"), Chunk("a\ufffd", is_alive=True)),
        (chunk("\udc00" * 99), Chunk(finish_reason="\ufffd" * 64)),
        (
            Is(choices=[], usage=Is(prompt_tokens=1 << 70, completion_tokens=-1, total_tokens=3)),
            Chunk(usage={"total_tokens": 3}),
        ),
        (chunk(7), Chunk()),
        (Is(choices=[Is(delta=None)]), Chunk()),
        (Is(choices=[], usage=None), Chunk()),
        (Is(choices=[], usage=Is(prompt_tokens=1, total_tokens="2")), Chunk(usage={"prompt_tokens": 1})),
        (Is(choices=None, usage=Is(completion_tokens=3)), Chunk(usage={"completion_tokens": 3})),
    ],
)
def test_what_a_piece_holds(given: Any, wanted: Chunk) -> None:
    assert read(given) == wanted


@pytest.mark.parametrize("given", [None, 42, "text", Is(choices=None), Is(choices="a")])
def test_what_is_no_piece(given: Any) -> None:
    with pytest.raises(TypeError):
        read(given)
