"""Claim intents that are due, so that nobody else settles them, and settle them when their objects are gone."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, case, exists, false, select, update

from fastapi_filestore.orm.holders.holders import lock, places_holding, tables_with_files
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.ledger.ledger import ABORTED, DELETION, UPLOAD, Ledger
from fastapi_filestore.storage.paths import is_generated

LEASE_SECONDS = 300.0
"""How long a claim keeps other sweepers away: a process that dies with it is followed by another."""
FIRST_RETRY_SECONDS = 30.0
LAST_RETRY_SECONDS = 24 * 3600.0
"""The wait after a failure doubles from the first to the last."""
MOST_DOUBLINGS = 12
"""More than it takes from the first wait to the last."""


@dataclass(frozen=True, slots=True)
class Swept:
    """One intent that the sweeper took: the object is gone, or `error` says why it is not after so many attempts.

    `is_upload` tells an upload that never ended from an object that was to be deleted.
    """

    backend: str
    path: str
    attempts: int
    error: str | None = None
    is_upload: bool = False


def has_due(connection: Connection, *, ledger: Ledger, leave: Collection[str]) -> bool:
    """Tell whether an intent is due; this takes no lock, which on SQLite would stop every writer."""
    return bool(connection.scalar(select(exists().where(_is_due(connection, ledger, leave)))))


def claim(connection: Connection, *, ledger: Ledger, batch: int, leave: Collection[str]) -> list[Swept]:
    """Claim intents that are due and keep rows from taking their objects; drop those of objects that a row holds."""
    table = ledger.table
    while True:
        if connection.dialect.name == "sqlite":
            # Its write lock, taken before the read, stands in for row locks.
            connection.execute(update(table).values(kind=DELETION).where(false()))
        due = connection.execute(
            select(table.c.backend, table.c.path, table.c.attempts, table.c.kind)
            .where(_is_due(connection, ledger, leave))
            .order_by(table.c.due_at)
            .limit(batch)
            .with_for_update(skip_locked=True)
        )
        claimed = [
            Swept(backend, path, attempts + 1, is_upload=kind in {UPLOAD, ABORTED})
            for backend, path, attempts, kind in due
        ]
        # From now on no unit of work can settle it, and what became of an upload is not forgotten, whoever goes on.
        kind = case((table.c.kind == UPLOAD, ABORTED), else_=table.c.kind)
        for group in by_backend(claimed):
            connection.execute(
                update(table)
                .where(and_(table.c.backend == group[0].backend, table.c.path.in_([intent.path for intent in group])))
                .values(kind=kind, attempts=table.c.attempts + 1, due_at=database_time() + LEASE_SECONDS)
            )
        # A row may have come back, or was written by a transaction that ended before it could settle its intent, and a
        # ledger that keeps nothing today may have kept something yesterday. Where lists of files can't be looked into,
        # a generated path is believed to be what its intent says.
        can_look = connection.dialect.name in {"postgresql", "sqlite"}
        asked = [(intent.backend, intent.path) for intent in claimed if can_look or not is_generated(intent.path)]
        if not asked:
            return claimed
        lock(connection, asked, table)
        held = places_holding(connection, tables_with_files(table.metadata), asked).keys()
        ledger.forget(connection, held)
        if doomed := [intent for intent in claimed if (intent.backend, intent.path) not in held]:
            return doomed


def record_outcomes(connection: Connection, *, ledger: Ledger, swept: Sequence[Swept]) -> None:
    """Remove the intents of objects that are gone, and let the others fall due again later."""
    ledger.note_gone(connection, [(intent.backend, intent.path) for intent in swept if intent.error is None])
    for intent in swept:
        if intent.error is not None:
            connection.execute(
                update(ledger.table)
                .where(and_(ledger.table.c.backend == intent.backend, ledger.table.c.path == intent.path))
                .values(due_at=database_time() + retry_delay(intent.attempts), error=intent.error)
            )


def _is_due(connection: Connection, ledger: Ledger, leave: Collection[str]) -> ColumnElement[bool]:
    # A value, not the function: no database looks up in an index what may change from row to row.
    now = connection.execute(select(database_time())).scalar_one()
    return and_(ledger.table.c.due_at <= now, ledger.table.c.backend.not_in(list(leave)))


def by_backend(intents: Sequence[Swept]) -> list[list[Swept]]:
    """Group intents by their backends."""
    groups: dict[str, list[Swept]] = defaultdict(list)
    for intent in intents:
        groups[intent.backend].append(intent)
    return list(groups.values())


def retry_delay(attempts: int) -> float:
    """Return the seconds to wait after so many failures."""
    return min(FIRST_RETRY_SECONDS * 2.0 ** min(attempts - 1, MOST_DOUBLINGS), LAST_RETRY_SECONDS)
