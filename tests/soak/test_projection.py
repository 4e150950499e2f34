"""The small form of what `python -m tests.soak.projection` measures."""

from __future__ import annotations

from pathlib import Path

from tests.soak.projection import BYTES_A_SESSION, measure


async def test_an_api_knows_all_sessions_when_it_is_ready_in_little_memory(tmp_path: Path) -> None:
    found = await measure(tmp_path, 10_000, 5_000)
    print(found)
    assert found.empty.sessions == 0
    assert found.full.sessions == found.sessions == 10_000
    # What reading the log takes for a moment is spread over fewer sessions here.
    assert found.bytes_each <= 2 * BYTES_A_SESSION
