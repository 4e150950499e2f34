from __future__ import annotations

import pytest

from daena_mesh.tokens import Claims, mint
from mesh_cli.revoke import expiry_of

TOKEN = mint(Claims(sub="ada", exp=1_795_401_600), b"a key of tests, of thirty-two bytes")


def test_a_token_says_until_when_it_is_good() -> None:
    assert expiry_of(TOKEN) == 1_795_401_600


@pytest.mark.parametrize("text", ["ada", "a.b.c", "", "eyJ.x.y", f"eyJ.{'*' * 9}.{'x' * 43}", f"eyJ.YQ.{'x' * 43}"])
def test_anything_else_is_a_user(text: str) -> None:
    assert expiry_of(text) is None
