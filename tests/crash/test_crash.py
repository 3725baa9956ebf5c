"""The crash proof in short: random schedules of every kind, and proof that the harness sees what it looks for."""

from random import Random
from typing import get_args

import pytest

from tests.crash.child import Fault
from tests.crash.combinations import COMBINATIONS, LOCAL, is_tried, makes_sense
from tests.crash.conftest import Places
from tests.crash.place import Combination
from tests.crash.scripts import SCRIPTS
from tests.crash.summary import count
from tests.crash.trial import Trial

SCRIPTS_EACH = 2
POINTS_EACH = 3

FAULTS = [fault for fault in get_args(Fault) if fault not in {"none", "kill"}]


@pytest.mark.parametrize("fault", ["kill", "error", "sweep"])
@pytest.mark.parametrize("number", [0, 1])
def test_every_pair_is_tried(fault: Fault, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that is tried in half of the combinations meets each session with each database and each store."""
    monkeypatch.delenv("EVERY_KIND", raising=False)
    possible = [each for each in (COMBINATIONS if fault == "kill" else LOCAL) if each.database != "sqlite_legacy"]
    tried = [each for each in possible if is_tried(each, fault, number)]

    assert 2 * len(tried) == len(possible)
    for one, other in (("mode", "database"), ("mode", "store"), ("database", "store")) if fault == "kill" else ():
        assert len({(getattr(each, one), getattr(each, other)) for each in tried}) == 4
    for kind in ("mode", "database"):
        assert {getattr(each, kind) for each in tried} == {getattr(each, kind) for each in possible}


async def _try_some(
    places: Places, combination: Combination, fault: Fault, random: Random, request: pytest.FixtureRequest
) -> list[str]:
    possible = [script for script in SCRIPTS.values() if makes_sense(combination, fault, script)]
    problems = []
    for script in random.sample(possible, SCRIPTS_EACH):
        trial = Trial(await places(combination), script, fault)
        points = await trial.points()
        tally = await trial.run(random.sample(points, min(POINTS_EACH, len(points))))
        count(request, trial, tally)
        problems += tally.problems
    return problems


@pytest.mark.parametrize("combination", COMBINATIONS, ids=str)
async def test_killed_at_random_points(
    combination: Combination, places: Places, random: Random, request: pytest.FixtureRequest
) -> None:
    """A process that is killed leaves nothing that the ledger does not know, and the sweeper settles it."""
    assert await _try_some(places, combination, "kill", random, request) == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_faults_at_random_points(
    fault: Fault, places: Places, random: Random, request: pytest.FixtureRequest
) -> None:
    """Errors, hanging stores, cancellations and early sweepers leave nothing, and the session usable."""
    combination = random.choice([each for each in LOCAL if each.mode == "async"])

    assert await _try_some(places, combination, fault, random, request) == []
