"""`make model-faults`: each planted fault is found within 500 sequences, on three fixed seeds."""

import multiprocessing
import sys
from itertools import product
from typing import Final

from tests.model.cells import CELLS
from tests.model.faults import FAULTS
from tests.model.run import play_cell
from tests.model.table import Played

SEEDS: Final = (1, 2, 3)
SEQUENCES: Final = 500
CELL: Final = next(cell for cell in CELLS if str(cell) == "sqlite-ledger-sync-single")
"""Where they are planted: the library is one in all cells, and this one is the quickest."""


def look_for(search: tuple[str, int]) -> Played:
    """Play until a fault breaks something."""
    fault, number = search
    with FAULTS[fault]():
        return play_cell(CELL, sequences=SEQUENCES, number=number, postgres=None, shortens=False)


def main(workers: int) -> int:
    """Look for all faults, say what found each, and return the exit status."""
    searches, missed = list(product(FAULTS, SEEDS)), 0
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
        for (fault, number), played in zip(searches, pool.imap(look_for, searches), strict=True):
            missed += played.problem is None
            found = f"found in sequence {len(played.lengths)}: {played.problem}" if played.problem else "NOT FOUND"
            sys.stdout.write(f"{fault:<30} seed {number}  {found[:160]}\n")
            sys.stdout.flush()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2))
