from __future__ import annotations

from pathlib import Path

import pytest

from mesh_cli.cluster.front import adapted, shipped


def test_addresses_are_put_in_their_places() -> None:
    text = adapted(shipped(), Path("/n"), "127.0.0.1:9", ["127.0.0.1:1", "127.0.0.1:2"], ["127.0.0.1:3"])
    apis, edges = text.partition("upstream mesh_edges")[::2]
    assert [line.strip() for line in apis.splitlines() if " server 127" in line] == [
        "server 127.0.0.1:1;",
        "server 127.0.0.1:2;",
    ]
    assert [line.strip() for line in edges.splitlines() if " server 127" in line] == ["server 127.0.0.1:3;"]
    assert "listen 127.0.0.1:9;" in text
    assert "proxy_temp_path /n/proxy;" in text


def test_a_file_that_was_changed_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="not as it was shipped"):
        adapted(shipped().replace("8080", "80"), Path("/n"), "127.0.0.1:9", [], [])
