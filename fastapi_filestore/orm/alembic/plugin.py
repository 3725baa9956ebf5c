"""Plug into Alembic, which loads this module by the entry point `alembic.plugins`, so that env.py needs nothing.

It is loaded while Alembic itself is being imported, so it imports nothing of Alembic's before `setup`.
"""

import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import UpgradeOps
    from alembic.runtime.plugins import Plugin
    from alembic.util import PriorityDispatchResult

_UNSEEN_ON_SQLITE = (
    "Skipped unsupported reflection of expression-based index filestore_",
    "autogenerate skipping metadata-specified expression-based index 'filestore_",
)
"""Warnings of SQLAlchemy and Alembic about our indexes there, which are compared here."""


def setup(plugin: "Plugin") -> None:
    """Register the directives for triggers, and what autogenerate compares."""
    from alembic.util import DispatchPriority  # noqa: PLC0415 - Alembic is optional

    def compare(context: "AutogenContext", upgrade: "UpgradeOps") -> "PriorityDispatchResult":
        from fastapi_filestore.orm.alembic import autogenerate  # noqa: PLC0415 - complete only now

        return autogenerate.compare(context, upgrade)

    import_module("fastapi_filestore.orm.alembic.operations")
    for message in _UNSEEN_ON_SQLITE:
        warnings.filterwarnings("ignore", message=message)
    plugin.add_autogenerate_comparator(compare, "autogenerate", priority=DispatchPriority.LAST)


class _IterableModule(ModuleType):
    """Alembic before 1.20.1 takes an entry point for a collection of modules, and later ones for a module."""

    def __iter__(self) -> Iterator[ModuleType]:
        yield self


sys.modules[__name__].__class__ = _IterableModule
