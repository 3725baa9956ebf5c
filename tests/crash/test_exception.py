"""The one documented exception: SQLite has one writer, so a key needed inside a transaction may have no intent."""

import pytest

from tests.crash.combinations import COMBINATIONS, LOCAL
from tests.crash.conftest import Places
from tests.crash.place import Combination
from tests.crash.scripts import SCRIPTS
from tests.crash.trial import Trial

SQLITE = [each for each in COMBINATIONS if each.database == "sqlite" and each.store == "local"]


@pytest.mark.parametrize("combination", SQLITE, ids=str)
async def test_sqlite_upload_inside_a_transaction(combination: Combination, places: Places) -> None:
    """A file replaced in a transaction that has read already, with no key at hand, is found by audit only."""
    trial = Trial(await places(combination), SCRIPTS["replace"])
    points = await trial.points()
    tally = await trial.run(points)

    uploads = [number for number, label in points if label == "after put"]
    assert tally.problems == []
    assert 0 < tally.excused <= len(points) - uploads[0]


@pytest.mark.parametrize("name", ["create", "replace_with_reserved_key", "service_update"])
async def test_no_exception_with_a_key_at_hand(name: str, places: Places) -> None:
    """A key reserved before, or bytes that move before the transaction begins, need no exception on SQLite either."""
    trial = Trial(await places(SQLITE[0]), SCRIPTS[name])
    tally = await trial.run(await trial.points())

    assert (tally.problems, tally.excused) == ([], 0)


async def test_no_exception_on_postgresql(places: Places) -> None:
    """PostgreSQL has room for the ledger's own transaction beside any other."""
    trial = Trial(await places(LOCAL[-1]), SCRIPTS["replace"])
    tally = await trial.run(await trial.points())

    assert (tally.problems, tally.excused) == ([], 0)
