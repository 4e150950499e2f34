"""Attack a WebSocket server with the cases of the Autobahn test suite, through the package `kosoku`.

Run as a program of its own, for the cases, written for Python 2, patch the interpreter that loads them::

    python tests/support/autobahn.py ws://127.0.0.1:9001

Prints a JSON object: each case's number, its verdict and the verdict on its close. The cases on compression are
left out: the edge never negotiates it, since it would cost each connection some 300 KiB.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys

COMPRESSION = ["12.*", "13.*"]


async def attack(url: str) -> dict[str, list[str]]:
    """Run the suite against the server at `url`; of a run with failures, give these alone."""
    kosoku = importlib.import_module("kosoku")
    try:
        results = await kosoku.run_fuzzingclient(url, None, COMPRESSION)
    except kosoku.FailureError as failure:
        results = failure.results
    return {result.case_id: [result.behavior.value, result.behavior_close.value] for result in results}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(attack(sys.argv[1]))))
