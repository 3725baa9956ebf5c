"""Playing one cell from its scene to what is known of it afterwards; and all of them, in several processes."""

import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

from hypothesis.errors import FlakyStrategyDefinition

from tests.model.cells import CELLS, Cell, open_scene
from tests.model.machine import Machine, machine_in, play_at_random, replay, shorten
from tests.model.playing import Step
from tests.model.table import Played
from tests.servers.postgres import Postgres, run_postgres


def play_cell(cell: Cell, *, sequences: int, number: int, postgres: Postgres | None, shortens: bool = True) -> Played:
    """Play random sequences in one cell, and shorten the first one that breaks something."""
    played = Played(str(cell), number, sequences)
    with _silence(), TemporaryDirectory() as folder, open_scene(cell, postgres, Path(folder)) as scene:
        machine = machine_in(scene)
        parts = count(seed_of(cell, number))
        while len(machine.lengths) < sequences and not machine.broken:
            # The order of a flush's statements is not the same each time, and with it what can be played next:
            # hypothesis takes that for a mistake of the test's, and has to begin anew.
            with suppress(FlakyStrategyDefinition):
                # Some that it begins hypothesis does not count, for they came to no end of their own.
                _play(machine, max(1, (sequences - len(machine.lengths)) * 5 // 6), next(parts))
        if machine.broken:
            steps, cause = machine.broken[0]
            played.problem = f"{type(cause).__name__}: {cause}"
            played.steps = shorten(machine, steps) if shortens else steps
        played.lengths, played.rules = machine.lengths, machine.tally
    return played


@contextmanager
def _silence() -> Iterator[None]:
    """Log nothing: stores fail all the time."""
    log = logging.getLogger("fastapi_filestore")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _play(machine: type[Machine], sequences: int, number: int) -> None:
    try:
        play_at_random(machine, sequences=sequences, number=number)
    except Exception:
        if not machine.broken:  # what broke is told with its steps
            raise


def seed_of(cell: Cell, number: int) -> int:
    """Return the seed of a cell: each plays sequences of its own."""
    return crc32(f"{cell} {number}".encode())


def play_all(
    sequences: int, *, number: int, postgres: Postgres, workers: int, cells: Sequence[Cell] = CELLS
) -> Iterator[Played]:
    """Play all cells, in processes of their own, and yield what is known of each."""
    share = -(-sequences // len(cells))
    play = partial(play_cell, sequences=share, number=number, postgres=postgres)
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(play, cells, chunksize=1)


def replay_in(name: str, steps: Sequence[Step]) -> None:
    """Play some steps in a cell that is named, on servers of its own."""
    cell = next(cell for cell in CELLS if str(cell) == name)
    with _silence(), ExitStack() as stack:
        postgres = stack.enter_context(run_postgres()) if cell.database == "postgres" else None
        folder = Path(stack.enter_context(TemporaryDirectory()))
        replay(machine_in(stack.enter_context(open_scene(cell, postgres, folder))), steps)
