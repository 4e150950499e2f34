"""Attack a WebSocket server with the cases of the Autobahn test suite, through the package `kosoku`.

Run as a program of its own, for the cases, written for Python 2, patch the interpreter that loads them::

    python tests/support/autobahn.py ws://127.0.0.1:9001 '9.*'

Prints a JSON object: each case's number, its verdict and the verdict on its close. The cases on compression are
always left out: the edge never negotiates it, since it would cost each connection some 300 KiB.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from asyncio.subprocess import PIPE

COMPRESSION = ["12.*", "13.*"]
AT_ONCE = 4
"""Some cases send half a message, and look a second later whether its bad half was refused."""

Verdicts = dict[str, tuple[str, str]]


async def verdicts_on(url: str, *excluded: str) -> Verdicts:
    """What the suite says of the server at `url`, in a process of its own; `excluded` are patterns of cases."""
    for _ in range(3):
        suite = await asyncio.create_subprocess_exec(sys.executable, __file__, url, *excluded, stdout=PIPE, stderr=PIPE)
        try:
            told, complaints = await suite.communicate()
        finally:
            if suite.returncode is None:
                suite.kill()
                await suite.wait()
        if suite.returncode is not None and suite.returncode >= 0:
            break  # the suite itself may crash, which says nothing of the server; then it begins anew
    assert suite.returncode == 0, f"the suite ended with {suite.returncode}: {complaints.decode()}"
    return {case: (behavior, close) for case, (behavior, close) in json.loads(told).items()}


async def attack(url: str, excluded: list[str]) -> dict[str, list[str]]:
    """Run the suite against the server at `url`; the verdict and the verdict on the close, by case."""
    kosoku = importlib.import_module("kosoku")
    try:
        results = await kosoku.run_fuzzingclient(url, None, [*COMPRESSION, *excluded], AT_ONCE)
    except kosoku.FailureError as failure:
        results = failure.results
    return {result.case_id: [result.behavior.value, result.behavior_close.value] for result in results}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(attack(sys.argv[1], sys.argv[2:]))))
