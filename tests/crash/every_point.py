"""Every script with every fault at every one of its points: thousands of processes. `make crash` runs this."""

from typing import get_args

import pytest

from tests.crash.child import Fault
from tests.crash.combinations import COMBINATIONS, LOCAL, makes_sense
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
    for name, script in SCRIPTS.items()
    if fault != "none" and makes_sense(combination, fault, script)
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
