"""Which kinds of session, database and store there are, and what makes sense with them."""

import os
from typing import Final

from tests.crash.child import Fault
from tests.crash.place import Combination
from tests.crash.scripts import Script

COMBINATIONS: Final = [
    Combination(mode, database, store)
    for database in ("sqlite", "postgresql", "sqlite_legacy")
    for store in ("local", "seaweedfs")
    for mode in ("sync", "async")
    if (database, store) != ("sqlite_legacy", "seaweedfs")
]
"""`sqlite_legacy` is SQLite without SQLAlchemy's recipe: its driver begins transactions as late as it likes."""

LOCAL: Final = [each for each in COMBINATIONS if each.store == "local" and each.database != "sqlite_legacy"]
"""The combinations for faults of which the store sees nothing that another store would not see."""


def makes_sense(combination: Combination, fault: Fault, script: Script) -> bool:
    """Tell whether a script can have a fault there: only what is awaited hangs, and can be cancelled."""
    if script.savepoints and combination.database == "sqlite_legacy":
        return False
    return combination.mode == "async" or fault not in {"hang", "cancel", "scope"}


def is_tried(combination: Combination, fault: Fault, number: int) -> bool:
    """Tell whether the script of a number has a fault at every point there, unless EVERY_KIND asks for all of them.

    Each script is tried in half of the combinations: in every pair of session and database, of session and store, and
    of database and store, but not in every three of them. Scripts take turns with the halves. What only asynchronous
    sessions have is tried on each database.
    """
    if "EVERY_KIND" in os.environ or fault in {"hang", "cancel", "scope"}:
        return True
    ones = (combination.mode == "async", combination.database == "postgresql", combination.store == "seaweedfs")
    return sum(ones) % 2 == number % 2
