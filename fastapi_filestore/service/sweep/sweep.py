"""Settle the intents that a crash, a rollback or a failing store left behind.

Any number of processes may sweep at once. A due intent is claimed in a short transaction that makes an upload intent
one that nobody can settle any more, and lets it fall due again only later. From then on a unit of work that comes late
finds its intent gone and fails, so bytes are never deleted under a committed row. In the same transaction the rows are
asked: what one of them holds stays. The object is deleted next, with what an unfinished upload left of it, and the
intent last of all.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import ColumnElement, Connection, Engine, and_, case, exists, false, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore.errors import (
    DatabaseFailedError,
    FilestoreError,
    StorageTimeoutError,
    StorageUnavailableError,
    UnknownBackendError,
)
from fastapi_filestore.file_object import Location
from fastapi_filestore.orm.holders.holders import lock, places_holding, tables_with_files
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.ledger.ledger import ABANDONED, DELETION, UPLOAD, Ledger, explain_missing
from fastapi_filestore.orm.sessions import plain_engine
from fastapi_filestore.service.contention import run_despite_others, run_unless_busy
from fastapi_filestore.storage.backend import NamedRemains, StorageBackend, UploadRemains
from fastapi_filestore.storage.paths import HeldPath, can_be_held, is_generated
from fastapi_filestore.storage.registry import StorageRegistry, storages

BATCH = 200
"""Intents claimed at once: one bulk deletion, little memory."""
LEASE_SECONDS = 300.0
"""How long a claim keeps other sweepers away: a process that dies with it is followed by another."""
DELETION_SECONDS = 0.8 * LEASE_SECONDS
"""How long a store may take for a batch, so that the claim outlasts it."""
REMAINS_SECONDS = 0.5 * DELETION_SECONDS
"""How much of that dropping what unfinished uploads left may take: it must not keep objects from going."""
FIRST_RETRY_SECONDS = 30.0
LAST_RETRY_SECONDS = 24 * 3600.0
"""The wait after a failure doubles from the first to the last."""
MOST_DOUBLINGS = 12
"""More than it takes from the first wait to the last."""
ERROR_CHARACTERS = 500


Ask = Callable[[Collection[Location]], Awaitable[AbstractSet[Location]]]
"""Asks the rows which of some objects they hold."""


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


async def sweep(
    engine: Engine | AsyncEngine, ledger: Ledger, *, registry: StorageRegistry = storages, batch: int = BATCH
) -> AsyncIterator[Swept]:
    """Settle every intent that is due, and yield what became of each.

    Safe to run at any time, in any number of processes. A failing one is tried again later, after a growing delay,
    and keeps no other waiting: a backend that can't be reached is left alone for the rest of the sweep.
    """
    plain, down = plain_engine(engine), set[str]()

    async def ask(locations: Collection[Location]) -> AbstractSet[Location]:
        tables = tables_with_files(ledger.table.metadata)
        return (await run_despite_others(plain, partial(places_holding, tables=tables, locations=locations))).keys()

    while claimed := await _claim_due(plain, ledger, batch, leave=down):
        groups = await asyncio.gather(*(_delete_in_time(group, registry, ask, down) for group in _by_backend(claimed)))
        swept = [intent for group in groups for intent in group]
        # What it left undone is due again later.
        await run_unless_busy(plain, partial(_settle, ledger=ledger, swept=swept))
        for intent in swept:
            yield intent


# -- claims ----------------------------------------------------------------------------------------------


async def _claim_due(engine: Engine, ledger: Ledger, batch: int, *, leave: Collection[str]) -> list[Swept]:
    try:
        # The look ahead costs little and takes no lock, which on SQLite would stop every writer.
        if not await run_unless_busy(
            engine, lambda connection: connection.scalar(select(exists().where(_due(connection, ledger, leave))))
        ):
            return []
        return await run_unless_busy(engine, partial(_claim, ledger=ledger, batch=batch, leave=leave)) or []
    except DatabaseFailedError as error:
        explain_missing(error, ledger)
        raise


def _due(connection: Connection, ledger: Ledger, leave: Collection[str]) -> ColumnElement[bool]:
    # A value, not the function: no database looks up in an index what may change from row to row.
    now = connection.execute(select(database_time())).scalar_one()
    return and_(ledger.table.c.due_at <= now, ledger.table.c.backend.not_in(list(leave)))


def _claim(connection: Connection, *, ledger: Ledger, batch: int, leave: Collection[str]) -> list[Swept]:
    """Claim intents that are due and keep rows from taking their objects; drop those of objects that a row holds."""
    while claimed := _claim_batch(connection, ledger, batch, leave):
        # A row may have come back, or was written by a transaction that ended before it could settle its intent, and a
        # ledger that keeps nothing today may have kept something yesterday. Where lists of files can't be looked into,
        # a generated path is believed to be what its intent says.
        can_look = connection.dialect.name in {"postgresql", "sqlite"}
        asked = [(intent.backend, intent.path) for intent in claimed if can_look or not is_generated(intent.path)]
        if not asked:
            return claimed
        lock(connection, asked, ledger.table)
        held = places_holding(connection, tables_with_files(ledger.table.metadata), asked).keys()
        ledger.forget(connection, held)
        if doomed := [intent for intent in claimed if (intent.backend, intent.path) not in held]:
            return doomed
    return []


def _claim_batch(connection: Connection, ledger: Ledger, batch: int, leave: Collection[str]) -> list[Swept]:
    table = ledger.table
    if connection.dialect.name == "sqlite":
        # Its write lock, taken before the read, stands in for row locks.
        connection.execute(update(table).values(kind=DELETION).where(false()))
    due = connection.execute(
        select(table.c.backend, table.c.path, table.c.attempts, table.c.kind)
        .where(_due(connection, ledger, leave))
        .order_by(table.c.due_at)
        .limit(batch)
        .with_for_update(skip_locked=True)
    )
    claimed = [
        Swept(backend, path, attempts + 1, is_upload=kind in {UPLOAD, ABANDONED})
        for backend, path, attempts, kind in due
    ]
    # From now on no unit of work can settle it, and what became of an upload is not forgotten, whoever goes on.
    kind = case((table.c.kind == UPLOAD, ABANDONED), else_=table.c.kind)
    for group in _by_backend(claimed):
        connection.execute(
            update(table)
            .where(and_(table.c.backend == group[0].backend, table.c.path.in_([intent.path for intent in group])))
            .values(kind=kind, attempts=table.c.attempts + 1, due_at=database_time() + LEASE_SECONDS)
        )
    return claimed


def _by_backend(intents: Sequence[Swept]) -> list[list[Swept]]:
    groups: dict[str, list[Swept]] = defaultdict(list)
    for intent in intents:
        groups[intent.backend].append(intent)
    return list(groups.values())


# -- deletions -------------------------------------------------------------------------------------------


async def _delete_in_time(group: list[Swept], registry: StorageRegistry, ask: Ask, down: set[str]) -> list[Swept]:
    backend = group[0].backend
    try:
        async with asyncio.timeout(DELETION_SECONDS):
            return await _delete(group, registry, ask)
    except UnknownBackendError as unknown:
        return _fail(group, unknown)
    except StorageUnavailableError as unreachable:
        down.add(backend)
        return _fail(group, unreachable)
    except TimeoutError:
        down.add(backend)
        return _fail(group, StorageTimeoutError(f"Backend {backend!r} took more than {DELETION_SECONDS:.0f} s."))


async def _delete(group: list[Swept], registry: StorageRegistry, ask: Ask) -> list[Swept]:
    try:
        backend = registry.get_backend(group[0].backend)
        # What no store can hold is not there.
        paths = {intent: HeldPath(intent.path) for intent in group if can_be_held(intent.path)}
        left = await _drop_unfinished(backend, [paths[intent] for intent in paths if intent.is_upload], ask)
        await backend.delete(*paths.values())
    except (StorageUnavailableError, UnknownBackendError):
        raise
    except FilestoreError as error:
        if len(group) == 1:
            return _fail(group, error)
        # One that can't be deleted must not keep the others: each is tried alone.
        return [outcome for intent in group for outcome in await _delete([intent], registry, ask)]
    if left is None:
        return group
    # Their objects are gone, and a later sweep looks for the rest.
    return [
        outcome
        for intent in group
        for outcome in (_fail([intent], left) if intent.is_upload and intent in paths else [intent])
    ]


async def _drop_unfinished(backend: StorageBackend, paths: Sequence[HeldPath], ask: Ask) -> FilestoreError | None:
    """Drop what unfinished uploads left; return why it is still there, which must not keep objects from going."""
    if not paths or not isinstance(backend, UploadRemains):
        return None
    try:
        async with asyncio.timeout(REMAINS_SECONDS):
            given = [path for path in paths if not is_generated(path)]
            if given and isinstance(backend, NamedRemains):
                # Leave out paths beside which a row holds an object that looks like what an upload to them left.
                remains = await backend.remains_of(*given)
                names = {path: {(backend.key, name) for name in names} for path, names in remains.items()}
                held = await ask(set[Location]().union(*names.values()))
                paths = [path for path in paths if held.isdisjoint(names.get(path, ()))]
            await backend.drop_unfinished(*paths)
    except StorageUnavailableError as unreachable:
        return unreachable
    except TimeoutError:
        return StorageTimeoutError(
            f"Backend {backend.key!r} took more than {REMAINS_SECONDS:.0f} s to drop what unfinished uploads left."
        )
    return None


def _fail(intents: Sequence[Swept], error: FilestoreError) -> list[Swept]:
    return [replace(intent, error=str(error)[:ERROR_CHARACTERS]) for intent in intents]


def _settle(connection: Connection, *, ledger: Ledger, swept: Sequence[Swept]) -> None:
    ledger.forget(connection, [(intent.backend, intent.path) for intent in swept if intent.error is None])
    for intent in swept:
        if intent.error is not None:
            connection.execute(
                update(ledger.table)
                .where(and_(ledger.table.c.backend == intent.backend, ledger.table.c.path == intent.path))
                .values(due_at=database_time() + retry_delay(intent.attempts), error=intent.error)
            )


def retry_delay(attempts: int) -> float:
    """Return the seconds to wait after so many failures."""
    return min(FIRST_RETRY_SECONDS * 2.0 ** min(attempts - 1, MOST_DOUBLINGS), LAST_RETRY_SECONDS)
