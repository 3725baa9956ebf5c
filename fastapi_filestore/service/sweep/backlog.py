"""Count what is in a ledger: how much a sweep has to do, and what it could not do before."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, case, func, not_, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from fastapi_filestore.errors import DatabaseFailedError
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.ledger.ledger import UPLOAD, BoundLedger, explain_missing
from fastapi_filestore.orm.mapped_types import AnyColumn
from fastapi_filestore.service.contention import run_despite_others


@dataclass(frozen=True, slots=True)
class Backlog:
    """The intents of some ledgers.

    Attributes:
        due: Those that a sweep would take now.
        waiting: Objects that are to go later: they are kept for a while, were deleted just now, or are tried again.
        failing: Those of both that a sweep has tried and could not settle.
        oldest: Seconds since the first of those that are due fell due; None if none is.
        reserved: Paths that uploads have or may take: most of them nobody has used yet, and no object is there.
    """

    due: int = 0
    waiting: int = 0
    failing: int = 0
    oldest: float | None = None
    reserved: int = 0

    @property
    def total(self) -> int:
        """All intents."""
        return self.due + self.waiting + self.reserved


async def backlog_of(accesses: Iterable[BoundLedger]) -> Backlog:
    """Count the intents of some ledgers.

    Raises:
        DatabaseUnavailableError: A database can't be used.
        LedgerMissingError: A ledger's table was never created.
    """
    backlogs = list[Backlog]()
    for access in accesses:
        columns = access.ledger.table.c

        def count(connection: Connection, columns: ReadOnlyColumnCollection[str, AnyColumn] = columns) -> Backlog:
            now: float = connection.execute(select(database_time())).scalar_one()
            is_due = columns.due_at <= now
            conditions = (is_due, columns.error.is_not(None), and_(not_(is_due), columns.kind == UPLOAD))
            numbers = [func.coalesce(func.sum(case((condition, 1), else_=0)), 0) for condition in conditions]
            counting = select(func.count(), func.min(columns.due_at), *numbers)
            total, first, due, failing, reserved = tuple[Any, ...](connection.execute(counting).one())
            return Backlog(due, total - due - reserved, failing, now - first if due else None, reserved)

        try:
            backlogs.append(await run_despite_others(access.engine, count))
        except DatabaseFailedError as error:
            explain_missing(error, access.ledger)
            raise
    return Backlog(
        sum(backlog.due for backlog in backlogs),
        sum(backlog.waiting for backlog in backlogs),
        sum(backlog.failing for backlog in backlogs),
        max((backlog.oldest for backlog in backlogs if backlog.oldest is not None), default=None),
        sum(backlog.reserved for backlog in backlogs),
    )
