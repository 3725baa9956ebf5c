"""Moving the bytes of several files: all stored or the first error, and deletions that never raise."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from functools import partial

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

UPLOADS_AT_ONCE = 8
"""Files of one flush on their way at once; each takes the memory of its parts in flight."""

RENEWALS_PER_AGE = 4
"""How often the intents of a long upload are renewed before they would fall due."""

LAST_RENEWAL = 1.0
"""Seconds to wait for the end of a renewal that is on its way."""

Claimed = tuple[FileObject, BoundLedger | None]
"""A file to be stored, and the ledger that is to know of it first."""

_DATABASE_FAILURES = (FilestoreError, SQLAlchemyError)
"""What statements fail with: a database's errors as ours, and SQLAlchemy's own, as of a closed connection."""


async def store(
    claimed: Collection[Claimed],
    *,
    room: Callable[[], ConnectionUse] = lambda: ConnectionUse.FROM_POOL,
    turn: AbstractAsyncContextManager[None] | None = None,
) -> None:
    """Store the bytes of pending files and confirm those that a client stored; the first failure stops the others.

    What was stored before, but not for this column, is judged by the column's rules now. The ledger learns of every key
    first, in a transaction of its own; where there is no `room` for one, only keys that are reserved already are used.
    For as long as that takes, the `turn` keeps other tasks from beginning a transaction that it would have to wait for.
    """
    # One that is in two places of a row is stored once.
    once = {id(file): (file, access) for file, access in claimed if not file.is_checked}
    waiting = list(once.values())
    async with turn or nullcontext():
        await _reserve([one for one in waiting if one[0].gets_new_path], room())
    # Claims of uploads in flight are kept from falling due.
    accesses = {access for file, access in waiting if access is not None and file.custody.claim is not None}
    renewals = [Renewal(access, [file for file, _ in waiting]) for access in accesses]
    try:
        await _store_all([file for file, _ in waiting])
    finally:
        for renewal in renewals:
            await renewal.stop()


async def _reserve(waiting: Iterable[Claimed], room: ConnectionUse) -> None:
    groups: dict[tuple[BoundLedger, str, str], list[FileObject]] = defaultdict(list)
    for file, access in waiting:
        if access is not None:
            groups[access, file.backend_in_use().key, file.prefix].append(file)
    for (access, backend, prefix), files in groups.items():
        keys = await reservations_of(access, backend, prefix).take(len(files), room)
        for file, key in zip(files, keys, strict=False):
            if file.custody.saving is None and file.gets_new_path:
                file.reserve(key, access)
            else:  # somebody else stores it, and did so before the key came
                reservations_of(access, backend, prefix).give_back(key)


async def _store_all(files: Sequence[FileObject]) -> None:
    if len(files) == 1:
        await _store_one(files[0])
        return
    gate = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def gated(file: FileObject) -> None:
        async with gate:
            await _store_one(file)

    tasks = [asyncio.create_task(gated(file)) for file in files]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await finish(asyncio.wait(tasks))
        raise


async def _store_one(file: FileObject) -> None:
    at = file.destination
    try:
        await (file.confirm_async() if file.state is FileState.RESERVED else file.save_async())
    except Exception as error:
        if at is not None and isinstance(file.custody.claim, BoundLedger) and not file.is_stored:
            access, file.custody.claim = file.custody.claim, None
            if not may_be_left(error):  # nothing is there: content was refused, or failed before the store had it all
                reservations_of(access, at[0] or "", folder_of(at[1])).give_back(at[1])
        raise
    await file.check_async()


class Renewal:
    """Renews the claims of files again and again; a timer until then, since hardly any upload takes so long."""

    def __init__(self, access: BoundLedger, files: Sequence[FileObject]) -> None:
        self._access, self._files = access, files
        self._pause = access.ledger.min_age / RENEWALS_PER_AGE
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._begin)

    async def stop(self) -> None:
        """Renew no more; a statement on its way ends, since a driver that is cut off may lose its connection."""
        self._timer.cancel()
        self._over.set()
        if self._task is not None:
            # Not for ever: on SQLite it may wait for the transaction that waits here.
            await asyncio.wait({self._task}, timeout=LAST_RENEWAL)

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._go_on())

    async def _go_on(self) -> None:
        access = self._access
        while not self._over.is_set():
            locations = [
                at for file in self._files if file.custody.claim == access and (at := file.destination) is not None
            ]
            try:
                await run_on_engine(access.engine, partial(access.ledger.renew, locations=locations))
            except _DATABASE_FAILURES as error:
                RENEWAL_FAILED.tell(error, objects=[path for _, path in locations])
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._pause)


async def discard(doomed: Mapping[Location, FileObject]) -> list[Location]:
    """Delete the bytes of files that no row points to, and return where they were.

    A failure is logged, for the transaction is over: the ledger's sweeper tries again.
    """
    groups: dict[tuple[StorageRegistry, str | None], list[Location]] = defaultdict(list)
    for at, file in doomed.items():
        groups[file.registry, at[0]].append(at)
    return [at for (registry, _), group in groups.items() for at in await _delete(registry, group)]


async def _delete(registry: StorageRegistry, group: list[Location]) -> list[Location]:
    backend, paths = group[0][0], [path for _, path in group]
    try:
        await registry.get_backend(backend).delete(*paths)
    except Exception as error:  # noqa: BLE001 - whatever a backend raises, what else is to be done goes on
        if len(group) > 1 and not isinstance(error, StorageUnavailableError | UnknownBackendError):
            # One that can't be deleted must not keep the others: each is tried alone.
            return [at for one in group for at in await _delete(registry, [one])]
        DISCARD_FAILED.tell(error, backend=backend, objects=paths)
        return []
    return group


async def forget(access: BoundLedger, locations: Collection[Location]) -> None:
    """Remove the intents of objects that are gone; left behind, they cost a sweeper one look.

    Till then a key of one's own can't be used again: the sweeper would take the new object for the old one.
    """
    if not has_room(access.engine):
        return
    try:
        await run_on_engine(access.engine, partial(access.ledger.forget, locations=locations))
    except _DATABASE_FAILURES as error:
        FORGET_FAILED.tell(error, objects=[path for _, path in locations])


async def known(access: BoundLedger, locations: Collection[Location]) -> set[Location]:
    """Return those of the locations that the ledger still holds intents of; none if it can't be asked."""
    if not has_room(access.engine):
        return set()
    try:
        return await run_on_engine(access.engine, partial(access.ledger.known, locations=locations))
    except _DATABASE_FAILURES as error:
        INTENTS_UNKNOWN.tell(error, objects=[path for _, path in locations])
        return set()
