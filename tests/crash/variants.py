"""Broken variants of the library, and the question whether one is caught."""

from tests.crash.conftest import Places
from tests.crash.place import Combination
from tests.crash.scripts import SCRIPTS
from tests.crash.trial import Trial

CAUGHT = {
    "upload_after_commit": ("create", "committed rows point to missing bytes"),
    "delete_at_savepoint_release": ("savepoint_released", "committed rows point to missing bytes"),
    "write_no_intent": ("create", "objects and halves of uploads that the ledger does not know"),
    "delete_before_commit": ("set_none", "committed rows point to missing bytes"),
    "settle_in_another_transaction": ("create", "objects and halves of uploads that the ledger does not know"),
}
"""Each variant of `broken.py`, with a script that shows it and the invariant that it breaks."""


async def is_caught(variant: str, combination: Combination, places: Places) -> bool:
    """Tell whether at least one schedule finds a variant out."""
    name, invariant = CAUGHT[variant]
    trial = Trial(await places(combination), SCRIPTS[name], variant=variant)
    tally = await trial.run(reversed(await trial.points()), until_caught=True)
    return any(invariant in problem for problem in tally.problems)
