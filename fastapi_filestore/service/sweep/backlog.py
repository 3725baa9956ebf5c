"""Count what is in a ledger: how much a sweep has to do, and what it could not do before."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, func, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from fastapi_filestore.errors import DatabaseFailedError
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.ledger.ledger import BoundLedger, explain_missing
from fastapi_filestore.orm.mapped_types import AnyColumn
from fastapi_filestore.service.contention import run_despite_others


@dataclass(frozen=True, slots=True)
class Backlog:
    """The intents of some ledgers.

    Attributes:
        due: Those that a sweep would take now.
        waiting: All others: paths that are reserved, objects that are kept for a while, what is to be tried again.
        failing: Those of both that a sweep has tried and could not settle.
        oldest: Seconds since the first of those that are due fell due; None if none is.
    """

    due: int = 0
    waiting: int = 0
    failing: int = 0
    oldest: float | None = None

    @property
    def total(self) -> int:
        """All intents."""
        return self.due + self.waiting


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
            counts = (func.count(), _number_of(columns.due_at <= now), _number_of(columns.error.is_not(None)))
            total, due, failing, first = connection.execute(select(*counts, func.min(columns.due_at))).one()
            return Backlog(due or 0, total - (due or 0), failing or 0, now - first if due else None)

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
    )


def _number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))
