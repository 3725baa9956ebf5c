"""`make model`: random sequences in all cells, in processes of their own, until one of them breaks something."""

import argparse
import sys
import time
from random import SystemRandom

from tests.model.cells import CELLS
from tests.model.run import play_all
from tests.model.table import WHOLE, Played, shortfalls, table
from tests.servers.postgres import run_postgres


def main() -> int:
    """Play, print the table, and return the exit status."""
    options = _options()
    cells = [cell for cell in CELLS if options.cell in {None, str(cell)}]
    began = time.monotonic()
    _say(f"{options.sequences} sequences, seed {options.seed}")
    played: list[Played] = []
    with run_postgres() as postgres:
        for one in play_all(
            options.sequences, number=options.seed, postgres=postgres, workers=options.workers, cells=cells
        ):
            played.append(one)
            took = time.monotonic() - began
            _say(f"{took:6.0f} s  {one.cell}: {len(one.lengths)} sequences", *(one.lines() if one.problem else ()))
    played.sort(key=lambda one: one.cell)
    short = list(shortfalls(played)) if options.sequences >= WHOLE and not options.cell else []
    broken = [one for one in played if one.problem]
    verdict = "BROKEN" if broken else "TOO LITTLE" if short else "the invariants hold"
    _say(*table(played), *short, f"{verdict}, in {time.monotonic() - began:.0f} s")
    return 1 if broken or short else 0


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--sequences", type=int, default=WHOLE)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    parser.add_argument("--cell", choices=[str(cell) for cell in CELLS])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
