"""Search for objects that several rows hold: asked for again in the databases, each in one statement."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial

from fastapi_filestore.file_object import Location
from fastapi_filestore.orm.holders.holders import places_holding
from fastapi_filestore.service.audit.findings import Finding, FindingKind, Position, finding_at
from fastapi_filestore.service.audit.inventory import Inventory
from fastapi_filestore.service.audit.references import ObjectLocation
from fastapi_filestore.service.audit.tables import Known
from fastapi_filestore.service.contention import run_despite_others

OBJECTS_AT_ONCE = 200
ROWS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class SharedSearch:
    """Looks for objects in an inventory that rows share.

    Attributes:
        stock: What stores list and rows hold.
        known: The databases.
        stage: The stage of the audit that this is.
    """

    stock: Inventory
    known: Known
    stage: int

    async def findings(self, after: ObjectLocation) -> AsyncGenerator[Finding, None]:
        """Yield a finding for each object that is in several places, after one of them."""
        while suspects := await self.stock.shared(after=after, limit=OBJECTS_AT_ONCE):
            places = await places_of(self.known, suspects)
            for at in suspects:
                if (count := places[at]) <= 1:
                    continue
                rows = await self.stock.rows_holding(at, limit=ROWS_SHOWN)
                shown = ", ".join(f"{row.table}.{row.column} of {', '.join(map(str, row.identity))}" for row in rows)
                others = f" and {count - len(rows)} more" if count > len(rows) else ""
                detail = (
                    f"{count} places hold it: {shown}{others}. It goes with the last of them, unless its path is of "
                    "the form that is generated here: give each row its own with `await file.copy_async()`."
                )
                yield finding_at(FindingKind.SHARED, Position(self.stage, *at), row=rows[0], detail=detail)
            after = suspects[-1]


async def places_of(known: Known, objects: Sequence[ObjectLocation]) -> Counter[Location]:
    """Ask every database in how many places its rows hold some objects."""
    places = Counter[Location]()
    for database in known.databases if objects else ():
        tables = [table.table for table in database.tables]
        # One statement sees one state: a file that moves to another row is in one of them.
        places.update(
            await run_despite_others(database.engine, partial(places_holding, tables=tables, locations=objects))
        )
    return places
