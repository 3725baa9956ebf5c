"""Move the bytes of several files: all are stored or the first error is raised, and deletions never raise."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from fastapi_filestore.concurrency.shielded import finish, may_be_left
from fastapi_filestore.errors import FilestoreError, StorageUnavailableError, UnknownBackendError
from fastapi_filestore.events import DISCARD_FAILED, FORGET_FAILED, INTENTS_UNKNOWN, RENEWAL_FAILED
from fastapi_filestore.file_object import FileObject, FileState, Location
from fastapi_filestore.orm.ledger.ledger import BoundLedger
from fastapi_filestore.orm.ledger.reservations import reservations_of
from fastapi_filestore.orm.sessions import ConnectionUse, has_room, run_on_engine
from fastapi_filestore.storage.paths import folder_of
from fastapi_filestore.storage.registry import StorageRegistry
from fastapi_filestore.telemetry import COLLECTOR, names

if TYPE_CHECKING:
    from fastapi_filestore.telemetry.instruments import Instruments

UPLOADS_AT_ONCE = 8
"""Files of one flush on their way at once; each takes the memory of its parts in flight."""

RENEWALS_PER_AGE = 4
"""How often the intents of a long upload are renewed before they would fall due."""

LAST_RENEWAL = 1.0
"""Seconds to wait for the end of a renewal that is on its way."""

Claimed = tuple[FileObject, BoundLedger | None]
"""A file to be stored, and the ledger that is to know of it first."""
Intents = Mapping[Location, BoundLedger | None]
"""Places of objects, each with the ledger that has an intent of it."""

_DATABASE_FAILURES = (FilestoreError, SQLAlchemyError)
"""What statements fail with: a database's errors as ours, and SQLAlchemy's own, as of a closed connection."""


async def store(
    claimed: Collection[Claimed],
    *,
    use: Callable[[], ConnectionUse] = lambda: ConnectionUse.FROM_POOL,
    turn: AbstractAsyncContextManager[None] | None = None,
) -> None:
    """Store the bytes of pending files and confirm those that a client stored; the first failure stops the others.

    What was stored before, but not for this column, is judged by the column's rules now. The ledger learns of every
    path first, in a transaction of its own; where its `use` of a connection is forbidden, only paths that are reserved
    already are taken. For as long as that takes, the `turn` keeps other tasks from beginning a transaction that it
    would have to wait for.
    """
    # One that is in two places of a row is stored once.
    waiting = {id(file): (file, ledger) for file, ledger in claimed if not file.is_checked}.values()
    files = [file for file, _ in waiting]
    async with turn or nullcontext():
        await _reserve(waiting, use())
    # Claims of uploads in flight are kept from falling due.
    renewals: dict[BoundLedger, Renewal] = {}
    for file, ledger in waiting:
        if ledger is not None and ledger not in renewals and file.custody.claim is not None:
            renewals[ledger] = Renewal(ledger, files)
    store_one = _store_file if COLLECTOR.instruments is None else partial(_store_observed, COLLECTOR.instruments)
    gate, tasks = asyncio.Semaphore(UPLOADS_AT_ONCE), list[asyncio.Task[None]]()
    try:
        if len(files) == 1:
            await store_one(files[0], gate)
        else:
            tasks += [asyncio.create_task(store_one(file, gate)) for file in files]
            await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        if tasks:
            await finish(asyncio.wait(tasks))
        raise
    finally:
        for renewal in renewals.values():
            await renewal.stop()


async def _reserve(waiting: Iterable[Claimed], use: ConnectionUse) -> None:
    """Give files generated paths whose upload intents are committed."""
    groups: dict[tuple[BoundLedger, str, str], list[FileObject]] = defaultdict(list)
    for file, ledger in waiting:
        if ledger is not None and file.gets_new_path:
            groups[ledger, file.backend_in_use().key, file.prefix].append(file)
    for (ledger, backend, prefix), files in groups.items():
        reservations = reservations_of(ledger, backend, prefix)
        paths = await reservations.take(len(files), use)
        for file, path in zip(files, paths, strict=False):
            if file.custody.saving is None and file.gets_new_path:
                file.reserve(path, ledger)
            else:  # somebody else stores it, and did so before the path came
                reservations_of(ledger, backend, prefix).give_back(path)


async def _store_file(file: FileObject, gate: asyncio.Semaphore) -> None:
    """Store one file, or confirm it, and judge it by the rules of its column; give a path back that it did not need."""
    async with gate:
        location = file.destination
        try:
            await (file.confirm_async() if file.state is FileState.RESERVED else file.save_async())
        except Exception as error:
            ledger = file.custody.claim
            if location is not None and isinstance(ledger, BoundLedger) and not file.is_stored:
                file.custody.claim = None
                if not may_be_left(error):  # nothing is there: content was refused, or failed before it was stored
                    reservations_of(ledger, location[0] or "", folder_of(location[1])).give_back(location[1])
            raise
        await file.check_async()


async def _store_observed(instruments: "Instruments", file: FileObject, gate: asyncio.Semaphore) -> None:
    """Store one file, and tell those who collect it."""
    with instruments.span(names.UPLOAD, **{str(names.BACKEND): file.backend_in_use().key}) as told:
        await _store_file(file, gate)
        told.note(names.SIZE, file.size)


class Renewal:
    """Renews the claims of files again and again; a timer until then, since hardly any upload takes so long."""

    def __init__(self, ledger: BoundLedger, files: Sequence[FileObject]) -> None:
        self._ledger, self._files = ledger, files
        self._pause = ledger.ledger.min_age / RENEWALS_PER_AGE
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._begin)

    def _begin(self) -> None:
        async def renew() -> None:
            while not self._over.is_set():
                claimed = [file for file in self._files if file.custody.claim == self._ledger]
                locations = [file.destination for file in claimed if file.destination is not None]
                try:
                    await run_on_engine(self._ledger.engine, partial(self._ledger.ledger.renew, locations=locations))
                except _DATABASE_FAILURES as error:
                    RENEWAL_FAILED.tell(error, objects=[path for _, path in locations])
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), self._pause)

        self._task = asyncio.create_task(renew())

    async def stop(self) -> None:
        """Renew no more; a statement on its way ends, since a driver that is cut off may lose its connection."""
        self._timer.cancel()
        self._over.set()
        if self._task is not None:
            # Not for ever: on SQLite it may wait for the transaction that waits here.
            await asyncio.wait({self._task}, timeout=LAST_RENEWAL)


async def discard(doomed: Mapping[Location, FileObject]) -> list[Location]:
    """Delete the bytes of files that no row points to, and return where they were.

    A failure is logged, for the transaction is over: the ledger's sweeper tries again.
    """
    groups: dict[tuple[StorageRegistry, str | None], list[Location]] = defaultdict(list)
    for location, file in doomed.items():
        groups[file.registry, location[0]].append(location)
    return [location for (registry, _), group in groups.items() for location in await _delete(registry, group)]


async def _delete(registry: StorageRegistry, group: list[Location]) -> list[Location]:
    backend, paths = group[0][0], [path for _, path in group]
    try:
        await registry.get_backend(backend).delete(*paths)
    except Exception as error:  # noqa: BLE001 - whatever a backend raises, what else is to be done goes on
        if len(group) > 1 and not isinstance(error, StorageUnavailableError | UnknownBackendError):
            # One that can't be deleted must not keep the others: each is tried alone.
            return [deleted for location in group for deleted in await _delete(registry, [location])]
        DISCARD_FAILED.tell(error, backend=backend, objects=paths)
        return []
    return group


async def forget(intents: Intents, *, held: Collection[Location] = ()) -> None:
    """Remove the intents of objects that are gone, or `held` by rows; left behind, they cost a sweeper one look.

    Till then a path of one's own can't be used again: the sweeper would take the new object for the old one.
    """
    for bound, locations in _by_ledger(intents):
        try:
            await run_on_engine(bound.engine, partial(bound.ledger.note_gone, locations=locations, held=held))
        except _DATABASE_FAILURES as error:
            FORGET_FAILED.tell(error, objects=[path for _, path in locations])


async def find_known(intents: Intents) -> set[Location]:
    """Return the places of intents that the ledgers still hold; a ledger that can't be asked holds none."""
    known = set[Location]()
    for bound, locations in _by_ledger(intents):
        try:
            known |= await run_on_engine(bound.engine, partial(bound.ledger.known, locations=locations))
        except _DATABASE_FAILURES as error:
            INTENTS_UNKNOWN.tell(error, objects=[path for _, path in locations])
    return known


def _by_ledger(intents: Intents) -> Iterable[tuple[BoundLedger, list[Location]]]:
    """Return the places of intents by ledger; not of ledgers that can have no transaction of their own."""
    groups: dict[BoundLedger, list[Location]] = defaultdict(list)
    for location, bound in intents.items():
        if bound is not None and has_room(bound.engine):
            groups[bound].append(location)
    return groups.items()
