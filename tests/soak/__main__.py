"""`make soak`: a mesh under clients that come and go, for ten minutes or as long as is asked for, and a report."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from mesh_cli.loop import allow_many_sockets
from tests.soak.report import LATEST, document, draw
from tests.soak.soaking import Amounts, Outcome, soak

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "soak.md"


def main() -> int:
    """Parse, soak, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--settled", type=float, default=180, help="from which second on memory may not grow")
    parser.add_argument("--clients", type=int, default=2_000)
    parser.add_argument("--churn", type=float, default=50, help="clients a second that are cut off, or the like")
    parser.add_argument(
        "--rate", type=float, default=40, help="messages a second of programs; of others there are less"
    )
    parser.add_argument("--report", type=Path, default=Path("dist/soak"), help="the folder for the report")
    parser.add_argument("--publish", action="store_true", help="put the report into docs/soak.md as well")
    options = parser.parse_args()
    allow_many_sockets()
    seconds = options.minutes * 60
    amounts = Amounts(
        seconds=seconds,
        settled=options.settled,
        window=min(60.0, (seconds - options.settled) / 4),
        clients=options.clients,
        churn=options.churn,
        rate=options.rate,
    )
    begun = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="mesh-soak-") as folder:
        outcome = asyncio.run(soak(Path(folder), amounts, tell))
    report = write(outcome, options.report)
    if options.publish:
        publish(outcome, _PAGE)
    tell(report.read_text(encoding="utf-8"))
    return 1 if outcome.failures else 0


def write(outcome: Outcome, folder: Path) -> Path:
    """Write report and picture; returns where the report is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.svg").write_text(draw(outcome), encoding="utf-8")
    report = folder / "soak.md"
    report.write_text(f"# Soak\n\n{document(outcome, 'soak.svg')}", encoding="utf-8")
    return report


def publish(outcome: Outcome, page: Path) -> None:
    """Put the report in place of the one before."""
    kept = page.read_text(encoding="utf-8").partition(LATEST)[0]
    page.write_text(f"{kept}{LATEST}\n\n{document(outcome, 'soak.svg')}", encoding="utf-8")
    (page.parent / "soak.svg").write_text(draw(outcome), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
