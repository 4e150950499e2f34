"""Fuzz: ``python -m tests.fuzz``, or ``make fuzz``.

Each target gets its inputs in a process of its own: from atheris where that is installed, which looks for inputs that
reach new code, else from mutations by chance. The first input for which something does not hold ends it all with
status 1; it is printed as hexadecimal, for ``--reproduce``. So does memory that grows with the inputs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz.campaign import Campaign, Check, Crash, Leak
from tests.fuzz.mutation import MOST_BYTES, mutations

OURS = ["daena_mesh", "mesh_edge"]
ATHERIS, CHANCE = "atheris", "chance"


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


def by_chance(campaign: Campaign, seeds: Sequence[bytes], seed: int) -> None:
    """Feed mutations; raises `Crash` or `Leak`."""
    inputs = mutations(seeds, seed)
    while not campaign.is_done:
        campaign.feed(next(inputs))


def by_coverage(campaign: Campaign, corpus: str, seed: int, end: Callable[[Exception | None], Any]) -> None:
    """Feed what atheris finds. It never gives the process back, so `end` has to end it.

    `corpus` is a folder, with the seeds to begin with and what comes of them.
    """
    atheris = importlib.import_module(ATHERIS)

    def one_input(data: bytes) -> None:
        try:
            campaign.feed(data)
        except (Crash, Leak) as error:
            end(error)
        if campaign.is_done:
            end(None)

    options = [f"-seed={seed}", f"-max_len={MOST_BYTES}", "-verbosity=0", "-timeout=10", f"-artifact_prefix={corpus}/"]
    atheris.Setup([sys.argv[0], *options, corpus], one_input)
    atheris.Fuzz()


def run(name: str, check: Check, seeds: Sequence[bytes], options: argparse.Namespace, corpus: str) -> None:
    """One campaign, which ends this process."""

    def end(error: Exception | None) -> None:
        say(f"{name}: {type(error).__name__}: {error}" if error else f"{name}: no crash, no leak")
        if isinstance(error, Crash):
            say(f"again: python -m tests.fuzz --target {name} --reproduce '{error.data.hex()}'")
        os._exit(1 if error else 0)

    campaign = Campaign(name, check, options.inputs, say)
    try:
        if options.engine == ATHERIS:
            by_coverage(campaign, corpus, options.seed, end)
        else:
            by_chance(campaign, seeds, options.seed)
    except (Crash, Leak) as error:
        end(error)
    end(None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the status is 0 when all went well."""
    has_atheris = importlib.util.find_spec(ATHERIS) is not None
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", help="one instead of all")
    parser.add_argument("--engine", choices=[ATHERIS, CHANCE], default=ATHERIS if has_atheris else CHANCE)
    parser.add_argument("--reproduce", metavar="HEX", help="check this input of the target, and nothing else")
    options = parser.parse_args(arguments)
    if options.engine == ATHERIS:
        quiet = contextlib.redirect_stderr(io.StringIO())  # it names each module
        with quiet, importlib.import_module(ATHERIS).instrument_imports(include=OURS, enable_loader_override=False):
            from tests.fuzz.targets import TARGETS
    else:
        from tests.fuzz.targets import TARGETS
    if options.reproduce is not None:
        TARGETS[options.target].check(bytes.fromhex(options.reproduce))
        return 0
    say(f"fuzzing with {options.engine}, {options.inputs:,} inputs for each target, seed {options.seed}")
    for name in [options.target] if options.target else TARGETS:
        with tempfile.TemporaryDirectory() as corpus:
            for number, data in enumerate(TARGETS[name].seeds):
                (Path(corpus) / str(number)).write_bytes(data)
            pid = os.fork()
            if pid == 0:
                run(name, *TARGETS[name], options, corpus)
            _, status = os.waitpid(pid, 0)
        if status:
            say(f"{name}: failed")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
