"""Power cuts after each call to the disk, whatever was asked for: `make power-cuts` tries thousands of them."""

from pathlib import Path
from random import SystemRandom

import pytest

from tests.power.planted import LATE, PLANTED, UNSETTLED, UNSYNCED
from tests.power.plays import MOST_SCRIPTS, PLAYS
from tests.power.scripts import play
from tests.power.sessions import play_transactions

SEEDS = (1, 2, SystemRandom().randrange(1_000_000))
"""Of the same scripts every time, and of one that is new; a failing one is named by its seed."""


@pytest.mark.parametrize("seed", [pytest.param(seed, id=name) for seed, name in zip(SEEDS, "abr", strict=True)])
@pytest.mark.parametrize("kind", PLAYS)
def test_no_cut_breaks_a_promise(kind: str, seed: int, tmp_path: Path) -> None:
    """What was stored is whole, what was deleted stays so, whenever the power is cut."""
    judgement = PLAYS[kind](seed, tmp_path)

    assert judgement.problems == [], f"seed {seed}"
    assert judgement.cuts > 50


@pytest.mark.parametrize("fault", UNSYNCED | LATE)
def test_a_sync_that_is_missing_is_found(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that leaves out one of its syncs, or is late with it, breaks a promise of a script."""
    PLANTED[fault](monkeypatch)

    assert any(play(seed, make(tmp_path, seed)).problems for seed in range(MOST_SCRIPTS))


@pytest.mark.parametrize("fault", UNSYNCED | UNSETTLED)
def test_a_row_without_its_bytes_is_found(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of such a library may point to nothing, and what it deleted may come back with nobody to know of it."""
    PLANTED[fault](monkeypatch)

    assert any(play_transactions(seed, make(tmp_path, seed)).problems for seed in range(MOST_SCRIPTS))


def make(parent: Path, seed: int) -> Path:
    """Make a folder for a script."""
    (folder := parent / str(seed)).mkdir()
    return folder
