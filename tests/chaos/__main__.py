"""`make chaos`: run the faults, print what comes of them."""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from mesh_cli.loop import allow_many_sockets
from tests.chaos.director import Outcome, perform
from tests.chaos.faults import all_faults, random_pairs
from tests.chaos.load import Amounts
from tests.chaos.report import is_good, publish, targets, unexcused, write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def main() -> int:
    """Parse, perform, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--clients", type=int, default=2_000)
    parser.add_argument("--rate", type=int, default=2_000, help="events a second")
    parser.add_argument("--sessions", type=int, default=400)
    parser.add_argument("--only", action="append", default=[], help="part of the name of a fault; may be given again")
    parser.add_argument("--pairs", type=int, default=3, help="random pairs of faults at the end")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--report", type=Path, default=Path("build/chaos"), help="the folder for the report")
    parser.add_argument("--publish", action="store_true", help="put the report into docs/reliability.md as well")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10_000)
    faults = [f for f in all_faults() if not options.only or any(part in f.name for part in options.only)]
    chance = random.Random(seed)
    acts = [[fault] for fault in faults] + random_pairs(options.pairs, chance)
    allow_many_sockets()
    amounts = Amounts(clients=options.clients, rate=options.rate, sessions=options.sessions)
    begun = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)

    tell(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="mesh-chaos-") as folder:
        try:
            outcome = asyncio.run(_until_told(perform(Path(folder), acts, amounts, seed, tell)))
        except asyncio.CancelledError:
            return 143
    if options.publish:
        publish(outcome, PAGE)
    return _verdict(outcome, write(outcome, options.report, "chaos"), tell)


async def _until_told(performing: Coroutine[None, None, Outcome]) -> Outcome:
    """Clean up after a SIGTERM as after Ctrl-C: namespaces and disks would stay."""
    task = asyncio.ensure_future(performing)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def _verdict(outcome: Outcome, report: Path, tell: Callable[[str], None]) -> int:
    for target in targets(outcome):
        tell(f"{'reached' if target.is_reached else 'MISSED '}  {target.name}: {target.measured}")
    for finding in unexcused(outcome)[:20]:
        tell(str(finding))
    tell(f"the report is in {report}")
    return 0 if is_good(outcome) else 1


if __name__ == "__main__":
    sys.exit(main())
