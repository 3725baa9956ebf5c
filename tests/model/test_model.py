"""Whatever programs do with sessions, rows and files, no file is lost: a few sequences of `make model`."""

import os
from collections.abc import Sequence
from random import SystemRandom

import pytest

from tests.model.cells import CELLS, Cell
from tests.model.faults import FAULTS
from tests.model.judgement import BrokenError
from tests.model.playing import Step
from tests.model.recorded import RECORDED, STALE_LISTS
from tests.model.run import play_cell, replay_in
from tests.model.table import Played
from tests.servers.postgres import Postgres

FIXED = 20_261_126
"""The seed of the sequences that are the same in every run."""
AT_RANDOM = int(os.environ.get("MODEL_SEED") or SystemRandom().randrange(2**32))
"""That of those which differ, and of the cells that they are played in, unless MODEL_SEED says otherwise."""
CHOSEN = 8
"""How many cells others are played in."""
SEQUENCES = 2
"""Of each cell and seed."""


def played(cell: Cell, number: int, postgres: Postgres) -> Played:
    """Play a few sequences, and fail with their steps if they break something."""
    print(f"seed {number}")  # noqa: T201 - pytest shows it where a test fails
    one = play_cell(cell, sequences=SEQUENCES, number=number, postgres=postgres)
    if one.problem is not None:
        pytest.fail("\n".join(one.lines()), pytrace=False)
    return one


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_fixed_sequences(cell: Cell, postgres: Postgres) -> None:
    """Rows, objects and ledger agree with a model of them, whatever some sequences of operations do."""
    one = played(cell, FIXED, postgres)

    assert len(one.lengths) >= SEQUENCES


@pytest.mark.parametrize("part", range(CHOSEN))
def test_random_sequences(part: int, postgres: Postgres) -> None:
    """They agree in other sequences, and in other cells, in every run."""
    one = played(CELLS[(AT_RANDOM + part * len(CELLS) // CHOSEN) % len(CELLS)], AT_RANDOM, postgres)

    assert len(one.lengths) >= SEQUENCES


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault(fault: str) -> None:
    """A recorded sequence that the library passes finds out a fault that is planted in it."""
    replay_in("sqlite-ledger-sync-single", RECORDED[fault])

    with FAULTS[fault](), pytest.raises(BrokenError):
        replay_in("sqlite-ledger-sync-single", RECORDED[fault])


@pytest.mark.parametrize("cell", ["sqlite-ledger-sync-list", "sqlite-none-async-list"])
@pytest.mark.parametrize("steps", STALE_LISTS, ids=["turned", "exchanged"])
def test_list_that_another_session_changed(steps: Sequence[Step], cell: str) -> None:
    """The service begins with what the database has: what another session put into the list stays there."""
    replay_in(cell, steps)
