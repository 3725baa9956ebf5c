"""The one documented exception: SQLite has one writer, so a key needed inside a transaction may have no intent."""

import pytest

from tests.crash.combinations import LOCAL
from tests.crash.conftest import Places
from tests.crash.scripts import SCRIPTS
from tests.crash.trial import Trial

SQLITE, POSTGRESQL = LOCAL[0], LOCAL[-1]
STEP = 4
"""Every fourth point will do here: all of them are in `every_point.py`."""


async def test_sqlite_upload_inside_a_transaction(places: Places) -> None:
    """A file replaced in a transaction that has read already, with no key at hand, is found by audit only."""
    trial = Trial(await places(SQLITE), SCRIPTS["replace"])
    points = await trial.points()
    commit = points.index(next(point for point in points if point[1] == "before COMMIT"))
    upload = points.index(next(point for point in points if point[1] == "after put"))
    before, between, after = points[:upload:STEP], points[upload : commit + 1], points[commit + 1 :: STEP]

    for some, excused in ((before, 0), (between, len(between)), (after, 0)):
        tally = await trial.run(some)
        assert (tally.problems, tally.excused) == ([], excused)


@pytest.mark.parametrize("name", ["create", "replace_with_reserved_key", "service_update"])
async def test_no_exception_with_a_key_at_hand(name: str, places: Places) -> None:
    """A key reserved before, or bytes that move before the transaction begins, need no exception on SQLite either."""
    trial = Trial(await places(SQLITE), SCRIPTS[name])
    tally = await trial.run((await trial.points())[::STEP])

    assert (tally.problems, tally.excused) == ([], 0)


async def test_no_exception_on_postgresql(places: Places) -> None:
    """PostgreSQL has room for the ledger's own transaction beside any other."""
    trial = Trial(await places(POSTGRESQL), SCRIPTS["replace"])
    tally = await trial.run((await trial.points())[::STEP])

    assert (tally.problems, tally.excused) == ([], 0)
