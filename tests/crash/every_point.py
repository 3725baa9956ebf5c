"""Every script with every fault at every one of its points: some 48,000 processes. `make crash` runs this.

Points are before and after each statement, COMMIT, ROLLBACK and call of the store, each piece of an upload, calls of
the disk where a script is about those, and each await that a cancellation can meet. At each of them a process is
killed, gets an error, meets an early sweeper, hangs in its store or is cancelled, by asyncio and by anyio; then rows,
objects and ledger are judged, before and after a sweep. A script that is killed meets each pair of a kind of session, a
database and a store; one whose points get errors or early sweepers meets both kinds of session and both databases, but
two of their four pairs; one that hangs or is cancelled meets all. `EVERY_KIND=1 make crash` leaves none out, and takes
twice the time.

A process takes a tenth of a second of a processor: a fork of one that has imported everything, and rows that are
copied back.
"""

from typing import get_args

import pytest

from tests.crash.child import Fault
from tests.crash.combinations import COMBINATIONS, LOCAL, is_tried, makes_sense
from tests.crash.conftest import Places
from tests.crash.place import Combination
from tests.crash.scripts import SCRIPTS
from tests.crash.summary import count
from tests.crash.trial import Trial
from tests.crash.variants import CAUGHT, is_caught

CASES = [
    pytest.param(combination, fault, name, id=f"{fault}-{combination}-{name}")
    for fault in get_args(Fault)
    for combination in (COMBINATIONS if fault == "kill" else LOCAL)
    for number, (name, script) in enumerate(SCRIPTS.items())
    if fault != "none" and makes_sense(combination, fault, script) and is_tried(combination, fault, number)
]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("combination", "fault", "name"), CASES)
async def test_every_point(
    combination: Combination, fault: Fault, name: str, places: Places, request: pytest.FixtureRequest
) -> None:
    """Whatever happens at whichever point, rows and objects agree, and what is stray is known to the ledger."""
    trial = Trial(await places(combination), SCRIPTS[name], fault)
    tally = await trial.run(await trial.points())
    count(request, trial, tally)

    assert tally.problems == []


@pytest.mark.parametrize("combination", LOCAL, ids=str)
@pytest.mark.parametrize("variant", CAUGHT)
async def test_every_broken_variant_is_caught(variant: str, combination: Combination, places: Places) -> None:
    """A library that breaks a rule is found out with every kind of session and database."""
    assert await is_caught(variant, combination, places)
