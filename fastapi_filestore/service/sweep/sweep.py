"""Settle the intents that a crash, a rollback or a failing store left behind.

Any number of processes may sweep at once. A due intent is claimed in a short transaction that makes an upload intent
one that nobody can settle any more, and lets it fall due again only later. From then on a unit of work that comes late
finds its intent gone and fails, so bytes are never deleted under a committed row. In the same transaction the rows are
asked: what one of them holds stays. The object is deleted next, with what an unfinished upload left of it, and the
intent last of all.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore.errors import (
    DatabaseFailedError,
    FilestoreError,
    StorageTimeoutError,
    StorageUnavailableError,
    UnknownBackendError,
)
from fastapi_filestore.file_object import Location
from fastapi_filestore.orm.holders.holders import places_holding, tables_with_files
from fastapi_filestore.orm.ledger.ledger import Ledger, explain_missing
from fastapi_filestore.orm.sessions import plain_engine
from fastapi_filestore.orm.uploads.expiry import end_expired
from fastapi_filestore.orm.uploads.tables import uploads_of
from fastapi_filestore.service.contention import run_despite_others, run_unless_busy
from fastapi_filestore.service.sweep.claims import LEASE_SECONDS, Swept, by_backend, claim, has_due, record_outcomes
from fastapi_filestore.storage.backend import NamedRemains, StorageBackend, UploadRemains
from fastapi_filestore.storage.paths import HeldPath, can_be_held, is_generated
from fastapi_filestore.storage.registry import StorageRegistry, storages
from fastapi_filestore.telemetry import COLLECTOR, names

if TYPE_CHECKING:
    from fastapi_filestore.telemetry.instruments import Told

BATCH = 200
"""Intents claimed at once: one bulk deletion, little memory."""
DELETION_SECONDS = 0.8 * LEASE_SECONDS
"""How long a store may take for a batch, so that the claim outlasts it."""
REMAINS_SECONDS = 0.5 * DELETION_SECONDS
"""How much of that dropping what unfinished uploads left may take: it must not keep objects from going."""
ERROR_CHARACTERS = 500


Ask = Callable[[Collection[Location]], Awaitable[AbstractSet[Location]]]
"""Asks the rows which of some objects they hold."""


def sweep(
    engine: Engine | AsyncEngine, ledger: Ledger, *, registry: StorageRegistry = storages, batch: int = BATCH
) -> AsyncIterator[Swept]:
    """Settle every intent that is due, and yield what became of each.

    Safe to run at any time, in any number of processes. A failing one is tried again later, after a growing delay,
    and keeps no other waiting: a backend that can't be reached is left alone for the rest of the sweep.
    """
    sweeping, taken, failed = _sweep(engine, ledger, registry=registry, batch=batch), 0, 0
    if (instruments := COLLECTOR.instruments) is None:
        return sweeping

    def note(told: "Told", intent: Swept) -> None:
        nonlocal taken, failed
        taken, failed = taken + 1, failed + (intent.error is not None)
        told.note(names.OBJECTS, taken)
        told.note(names.FAILED, failed)
        instruments.settled(failed=intent.error is not None)

    return instruments.steps(names.SWEEP, sweeping, note)


async def _sweep(
    engine: Engine | AsyncEngine, ledger: Ledger, *, registry: StorageRegistry, batch: int
) -> AsyncIterator[Swept]:
    plain, down = plain_engine(engine), set[str]()

    async def ask(locations: Collection[Location]) -> AbstractSet[Location]:
        tables = tables_with_files(ledger.table.metadata)
        return (await run_despite_others(plain, partial(places_holding, tables=tables, locations=locations))).keys()

    async def delete_in_time(group: list[Swept]) -> list[Swept]:
        backend = group[0].backend
        try:
            async with asyncio.timeout(DELETION_SECONDS):
                return await _delete(group, registry, ask)
        except UnknownBackendError as unknown:
            return _fail(group, unknown)
        except (StorageUnavailableError, TimeoutError) as error:
            down.add(backend)
            late = StorageTimeoutError(f"Backend {backend!r} took more than {DELETION_SECONDS:.0f} s.")
            return _fail(group, error if isinstance(error, StorageUnavailableError) else late)

    await _end_uploads(plain, ledger)
    while True:
        try:
            # The look ahead costs little.
            claimed = list[Swept]()
            if await run_unless_busy(plain, partial(has_due, ledger=ledger, leave=down)):
                claimed = await run_unless_busy(plain, partial(claim, ledger=ledger, batch=batch, leave=down)) or []
        except DatabaseFailedError as error:
            explain_missing(error, ledger)
            raise
        if not claimed:
            return
        groups = await asyncio.gather(*map(delete_in_time, by_backend(claimed)))
        swept = [intent for group in groups for intent in group]
        # What it left undone is due again later.
        await run_unless_busy(plain, partial(record_outcomes, ledger=ledger, swept=swept))
        for intent in swept:
            yield intent


async def _end_uploads(engine: Engine, ledger: Ledger) -> None:
    """End the uploads that nobody has touched for as long as they last."""
    if (tables := uploads_of(ledger.table.metadata)) is not None:
        while await run_unless_busy(engine, partial(end_expired, tables=tables, ledger=ledger)):
            pass


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
