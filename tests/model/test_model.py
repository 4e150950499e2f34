"""Scripts of every mood: each socket sees a gapless suffix of the log, once and in order, or is told of a gap.

``MODEL_EXAMPLES=5000 pytest tests/model/test_model.py`` looks for longer, at other scripts each time.
"""

from __future__ import annotations

import os

import pytest

from tests.model.scripts import MOODS, explore

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))


@pytest.mark.promise("P-ORDER-1")
@pytest.mark.promise("P-RESUME-1")
@pytest.mark.promise("P-GAP-1")
@pytest.mark.promise("P-CHAIN-1")
@pytest.mark.promise("P-HEAL-1")
@pytest.mark.promise("P-SLOW-1")
@pytest.mark.timeout(0 if EXAMPLES else 120)
@pytest.mark.parametrize("mood", MOODS)
def test_whatever_happens_each_socket_is_shown_what_it_is_owed(mood: str) -> None:
    explore(mood, EXAMPLES or 30, at_random=EXAMPLES > 0)
