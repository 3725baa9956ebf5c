"""Search for orphans: objects that no row held, asked for again in the databases, and counted before any goes."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from fastapi_filestore.file_object.record import spellings
from fastapi_filestore.orm.column.tables import is_translated
from fastapi_filestore.service.audit.coverage import Coverage, limit_of
from fastapi_filestore.service.audit.inventory import Inventory
from fastapi_filestore.service.audit.references import ObjectLocation
from fastapi_filestore.service.audit.tables import Database, Known
from fastapi_filestore.service.contention import run_despite_others
from fastapi_filestore.storage.paths import upload_end, upload_expiry

SUSPECTS_AT_ONCE = 5000
"""Suspected orphans that one statement looks for in all rows."""
CONDEMNED_AT_ONCE = 200
"""Orphans whose paths are locked in one transaction: a fraction of the locks that PostgreSQL has."""
PARAMETERS = 30_000
"""The most that a statement may have, in the database that allows least."""
SPELLINGS = len(spellings(""))
"""Parameters for each suspect: the ways in which a row may spell its key."""


async def locations(
    known: Known, ask: Callable[[Database, Sequence[str], Connection], set[ObjectLocation]], paths: Sequence[str]
) -> set[ObjectLocation]:
    """Ask every database for those of some paths that it knows."""
    found = set[ObjectLocation]()
    for database in known.databases:
        found |= await run_despite_others(database.engine, partial(ask, database, paths))
    return found


@dataclass(frozen=True, slots=True)
class OrphanSearch:
    """Looks for the orphans in an inventory.

    Attributes:
        stock: What stores list and rows hold.
        known: The databases.
        before: When an orphan was last modified, at the latest.
    """

    stock: Inventory
    known: Known
    before: datetime

    async def suspects(self, after: ObjectLocation) -> list[ObjectLocation]:
        """Return the next objects that no row held when the rows were read."""
        databases = self.known.databases
        columns = max((sum(len(table.columns) for table in database.tables) for database in databases), default=0)
        limit = min(SUSPECTS_AT_ONCE, PARAMETERS // (SPELLINGS * columns + 1))
        return await self.stock.orphans(after=after, before=self.before, limit=limit)

    async def without_rows(self, suspects: Sequence[ObjectLocation]) -> list[ObjectLocation]:
        """Return those of some objects that no row holds, no ledger knows of now, and no upload URL is for any more."""
        held = await locations(self.known, Database.known, [suspect.path for suspect in suspects])
        before, now = self.before.timestamp(), time.time()
        return [
            suspect
            for suspect in suspects
            if suspect not in held and upload_expiry(suspect.path) < before and upload_end(suspect.path) < now
        ]

    @asynccontextmanager
    async def condemning(self, objects: Sequence[ObjectLocation]) -> AsyncIterator[list[ObjectLocation]]:
        """Keep rows from taking objects that are to go during the block; give those that no row holds.

        A row that takes one at this moment has it, or is refused: both sides lock its path. A database without a ledger
        can refuse nobody.
        """
        condemned: list[tuple[Database, list[ObjectLocation]]] = []
        taken = set[ObjectLocation]()
        try:
            for database in self.known.databases if objects else ():
                held = await run_despite_others(database.engine, partial(database.condemn, objects))
                condemned.append((database, [location for location in objects if location not in held]))
                taken |= held
            yield [location for location in objects if location not in taken]
        finally:
            for database, paths in condemned:
                await run_despite_others(database.engine, partial(database.release, paths))

    async def keep_if_in_doubt(self, coverage: Coverage, after: ObjectLocation, at_most: int | None) -> None:
        """Decide of each backend whether its orphans may be deleted, before the first one is."""
        coverage.keep_for_unknown(coverage.backends)
        # One schema of several, such as one tenant's, says nothing of the others.
        schemas = [database.engine for database in self.known.databases if is_translated(database.engine)]
        if len(schemas) == 1:
            coverage.keep(
                coverage.backends,
                "the engine has a schema_translate_map, and rows in other schemas may hold them: name their engines, "
                "also={engine: Base.metadata}.",
            )
        for key in coverage.backends:
            if key >= after.backend and key not in coverage.kept:
                start, objects = max(after, ObjectLocation(key, "")), await self.stock.count_objects(key)
                orphans = await self.stock.count_orphans(after=start, before=self.before)
                if orphans > limit_of(objects, at_most):
                    # A ledger may know of many of them.
                    orphans, reached = 0, start
                    while suspects := [suspect for suspect in await self.suspects(reached) if suspect.backend == key]:
                        orphans, reached = orphans + len(await self.without_rows(suspects)), suspects[-1]
                coverage.keep_many(key, orphans=orphans, objects=objects, at_most=at_most)
