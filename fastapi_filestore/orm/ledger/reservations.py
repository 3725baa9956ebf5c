"""Reserve paths ahead, in blocks: one small transaction covers the uploads that follow it.

Where a client stores by an upload URL the ledger learns of the path in the transaction that hands the URL out.
"""

import asyncio
import os
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from weakref import WeakKeyDictionary

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from fastapi_filestore.errors import DatabaseFailedError, FilestoreError
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.ledger.ledger import BoundLedger, explain_missing, ledger_of_class
from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.orm.sessions import ConnectionUse, has_room, run_on_engine, writing_connection
from fastapi_filestore.storage.paths import UPLOAD_GRACE, generate_path, upload_end


@dataclass(slots=True)
class Line:
    """Those who wait until one of them has reserved more paths, and what the last one failed with, and when it began.

    Who has waited from the beginning to the end of another's attempt makes none of its own: while a database hangs,
    nobody waits for longer than two of them take, however many stand in line.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    failure: FilestoreError | None = None
    began: float = 0

    @asynccontextmanager
    async def waiting(self, since: float) -> AsyncIterator[None]:
        """Run the block when it is its turn, unless another's attempt failed all of which it has waited for."""
        async with self.lock:
            if self.failure is not None and since <= self.began:
                raise copy(self.failure)
            began = time.monotonic()
            try:
                yield
            except FilestoreError as error:
                self.failure, self.began = copy(error), began
                raise


Lines = defaultdict[ConnectionUse, Line]
"""One for each use: who holds a connection must never wait for somebody who waits for a connection."""

USABLE_PART = 0.25
"""Part of an intent's age in which its path may still be taken: the rest is for the upload and its transaction."""

MOST_FOLDERS = 1000
"""Folders whose unused paths are remembered."""
GIVEN_BACK_AT_ONCE = 1000
"""Intents that go in one statement at the end of an application."""


@dataclass(slots=True)
class Reservations:
    """The unused paths of one folder of a backend, in one ledger, of this process; each with the moment it is too old.

    `refused` are those that were taken for content which was refused: their intents go with the next block's coming.
    """

    access: BoundLedger
    backend: str
    prefix: str = ""
    paths: deque[tuple[float, str]] = field(default_factory=deque)
    refused: list[str] = field(default_factory=list)
    size: int = 1
    taken: int = 0
    refilling: WeakKeyDictionary[asyncio.AbstractEventLoop, Lines] = field(default_factory=WeakKeyDictionary)

    async def take(self, count: int, use: ConnectionUse) -> list[str]:
        """Return `count` reserved paths, reserving more where they run out; fewer if that is forbidden."""
        ready, since = self._take_ready(count), time.monotonic()
        while len(ready) < count and use is not ConnectionUse.FORBIDDEN:
            line = self.refilling.setdefault(asyncio.get_running_loop(), defaultdict(Line))[use]
            async with line.waiting(since):
                if not self.paths:
                    await self._reserve(count - len(ready), use)
            ready += self._take_ready(count - len(ready))
        return ready

    def _take_ready(self, count: int) -> list[str]:
        """Return up to `count` paths that are reserved and young enough."""
        now, ready = time.monotonic(), list[str]()
        while self.paths and len(ready) < count:
            deadline, path = self.paths.popleft()
            if deadline > now:
                ready.append(path)
        self.taken += len(ready)
        return ready

    async def _reserve(self, missing: int, use: ConnectionUse) -> None:
        """Reserve a block of paths, and let the intents of refused ones go, in one transaction."""
        ledger, refused = self.access.ledger, list(self.refused)
        # As many as were used of the last block, twice over: a quiet application reserves one path at a time.
        self.size = max(1, missing, min(ledger.block, 2 * self.taken))
        self.taken = 0
        paths = [generate_path(self.prefix) for _ in range(self.size)]
        deadline = time.monotonic() + USABLE_PART * ledger.min_age

        def exchange(connection: Connection) -> None:
            ledger.forget(connection, [(self.backend, path) for path in refused])
            ledger.reserve(connection, self.backend, paths)

        try:
            await run_on_engine(self.access.engine, exchange, use)
        except DatabaseFailedError as error:
            explain_missing(error, ledger)
            raise
        del self.refused[: len(refused)]
        self.paths.extend((deadline, path) for path in paths)

    def give_back(self, path: str) -> None:
        """Let the intent of a path go that was taken, and where nothing was stored."""
        self.refused.append(path)


_reservations: dict[tuple[int, BoundLedger, str, str], Reservations] = {}


def reservations_of(access: BoundLedger, backend: str, prefix: str = "") -> Reservations:
    """Return the reservations of a folder of a backend; a forked process never takes its parent's paths."""
    place = os.getpid(), access, backend, prefix
    found = _reservations.get(place)
    if found is None:
        # Where there is one folder for every tenant, those go that were used first: a sweeper finds their paths.
        while len(_reservations) >= MOST_FOLDERS:
            _reservations.pop(next(iter(_reservations)), None)
        found = _reservations.setdefault(place, Reservations(access, backend, prefix))
    return found


def drop_reservations(access: BoundLedger) -> None:
    """Forget the unused paths of a ledger that lost an intent: a process that slept too long has lost them all."""
    for (pid, owner, *_), reservations in list(_reservations.items()):
        if (pid, owner) == (os.getpid(), access):
            reservations.paths.clear()


def forget_reservations() -> None:
    """Forget all unused paths of this process, for tests, whose databases go: their intents fall due."""
    _reservations.clear()


async def release_reservations(*, on_own_loop: bool = False) -> None:
    """Give back all unused paths of this process, at the end of an application; but what another one uses.

    With `on_own_loop` this is the library's own event loop, and the connections of an asynchronous driver are those of
    another one, which may have ended.
    """
    unused: dict[BoundLedger, list[Location]] = defaultdict(list)
    for place, reservations in list(_reservations.items()):
        pid, access, backend, _ = place
        others = (loop for loop in reservations.refilling if loop is not asyncio.get_running_loop())
        # The connections of an asynchronous driver belong to the loop that opened them.
        is_of_another_loop = access.engine.dialect.is_async and any(loop.is_running() for loop in others)
        if pid == os.getpid() and not is_of_another_loop:
            del _reservations[place]
            paths = [*reservations.refused, *(path for _, path in reservations.paths)]
            unused[access] += [(backend, path) for path in paths]
            reservations.paths.clear()
            reservations.refused.clear()
    # All folders of a ledger together, so that no sweeper has to look for what lies there.
    for access, locations in unused.items():
        is_elsewhere = on_own_loop and access.engine.dialect.is_async and has_room(access.engine)
        use = ConnectionUse.NEW if is_elsewhere else ConnectionUse.FROM_POOL
        for start in range(0, len(locations), GIVEN_BACK_AT_ONCE):
            batch = locations[start : start + GIVEN_BACK_AT_ONCE]
            await run_on_engine(access.engine, partial(access.ledger.forget, locations=batch), use)


def expect_upload(session: Session, mapper: AnyMapper, file: FileObject, *, until: datetime) -> None:
    """Let the ledger know, with this transaction, where a client is to store a file by an upload URL, and until when.

    What no row takes in time after the URL's end goes, however often the client stores.
    """
    if (ledger := ledger_of_class(mapper)) is not None:
        end = max(upload_end(file.location[1]), until.timestamp() + UPLOAD_GRACE)
        ledger.expect(writing_connection(session, mapper), file.location, seconds=end - time.time())
