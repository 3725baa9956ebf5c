"""The scripted units of work. Each starts from the rows of `models.add_first_rows`, in a process of its own."""

from tests.crash.scripts import files, lists, rows, service, sweeping, transactions, uploads
from tests.crash.scripts.script import FIRST_OBJECTS, SCRIPTS, Script, unit
from tests.crash.scripts.sweeping import LITTER

__all__ = [
    "FIRST_OBJECTS",
    "LITTER",
    "SCRIPTS",
    "Script",
    "files",
    "lists",
    "rows",
    "service",
    "sweeping",
    "transactions",
    "unit",
    "uploads",
]
