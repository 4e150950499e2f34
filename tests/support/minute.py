"""How long the tests last that are about a minute: ten seconds among all others, the whole of it with `make minute`."""

from __future__ import annotations

import os

IS_WHOLE = os.environ.get("WHOLE_MINUTE", "") not in {"", "0"}
SECONDS = 60 if IS_WHOLE else 10
