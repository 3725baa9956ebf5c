"""The sweeper: settles the intents that a crash, a rollback or a failing store left behind.

Any number of processes may sweep at once. A due intent is claimed in a short transaction that makes it a deletion
intent and lets it fall due again only later; from then on a unit of work that comes late finds its intent gone and
fails, so bytes are never deleted under a committed row. The object is deleted next, and the intent last of all.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Engine, and_, false, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore.errors import FilestoreError, StorageUnavailableError
from fastapi_filestore.orm.engines import run_on_engine
from fastapi_filestore.orm.ledger import DELETION, Ledger, database_time
from fastapi_filestore.storage.registry import StorageRegistry, storages

BATCH = 200
"""Intents claimed at once: one bulk deletion, little memory."""
LEASE_SECONDS = 300.0
"""How long a claim keeps other sweepers away: a process that dies with it is followed by another."""
FIRST_RETRY_SECONDS = 30.0
LAST_RETRY_SECONDS = 24 * 3600.0
"""The wait after a failure doubles from the first to the last."""
ERROR_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Swept:
    """One intent that the sweeper took: the object is gone, or `error` says why it is not after so many attempts."""

    backend: str
    path: str
    attempts: int
    error: str | None = None


async def sweep(
    engine: Engine | AsyncEngine, ledger: Ledger, *, registry: StorageRegistry = storages, batch: int = BATCH
) -> AsyncIterator[Swept]:
    """Settle every intent that is due, and yield what became of each.

    Safe to run at any time, in any number of processes. A failing one is tried again later, after a growing delay,
    and keeps no other waiting.
    """
    plain = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    while claimed := await run_on_engine(plain, partial(_claim, ledger=ledger, batch=batch)):
        swept = [one for group in _by_backend(claimed) for one in await _delete(group, registry)]
        await run_on_engine(plain, partial(_settle, ledger=ledger, swept=swept))
        for one in swept:
            yield one


def _claim(connection: Connection, *, ledger: Ledger, batch: int) -> list[Swept]:
    table = ledger.table
    if connection.dialect.name == "sqlite":
        # Its write lock, taken before the read, stands in for row locks.
        connection.execute(update(table).values(kind=DELETION).where(false()))
    due = connection.execute(
        select(table.c.backend, table.c.path, table.c.attempts)
        .where(table.c.due_at <= database_time())
        .order_by(table.c.due_at)
        .limit(batch)
        .with_for_update(skip_locked=True)
    )
    claimed = [Swept(backend, path, attempts + 1) for backend, path, attempts in due]
    for group in _by_backend(claimed):
        connection.execute(
            update(table)
            .where(and_(table.c.backend == group[0].backend, table.c.path.in_([one.path for one in group])))
            .values(kind=DELETION, attempts=table.c.attempts + 1, due_at=database_time() + LEASE_SECONDS)
        )
    return claimed


def _by_backend(intents: Sequence[Swept]) -> list[list[Swept]]:
    groups: dict[str, list[Swept]] = defaultdict(list)
    for intent in intents:
        groups[intent.backend].append(intent)
    return list(groups.values())


async def _delete(group: list[Swept], registry: StorageRegistry) -> list[Swept]:
    try:
        await registry.get_backend(group[0].backend).delete(*(one.path for one in group))
    except StorageUnavailableError as error:
        return [_failed(one, error) for one in group]
    except FilestoreError as error:
        if len(group) == 1:
            return [_failed(group[0], error)]
        # One that can't be deleted must not keep the others: each is tried alone.
        return [outcome for one in group for outcome in await _delete([one], registry)]
    return group


def _failed(intent: Swept, error: Exception) -> Swept:
    return Swept(intent.backend, intent.path, intent.attempts, str(error)[:ERROR_CHARACTERS])


def _settle(connection: Connection, *, ledger: Ledger, swept: Sequence[Swept]) -> None:
    ledger.forget(connection, [(one.backend, one.path) for one in swept if one.error is None])
    for one in swept:
        if one.error is not None:
            delay = min(FIRST_RETRY_SECONDS * 2 ** (one.attempts - 1), LAST_RETRY_SECONDS)
            connection.execute(
                update(ledger.table)
                .where(and_(ledger.table.c.backend == one.backend, ledger.table.c.path == one.path))
                .values(due_at=database_time() + delay, error=one.error)
            )
