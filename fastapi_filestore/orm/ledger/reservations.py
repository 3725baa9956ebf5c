"""Object keys reserved ahead, in blocks: one small transaction covers the uploads that follow it."""

import asyncio
import os
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from fastapi_filestore.errors import DatabaseFailedError, FilestoreError
from fastapi_filestore.file_object import Location
from fastapi_filestore.orm.ledger.ledger import BoundLedger, explain_missing
from fastapi_filestore.orm.sessions import ConnectionUse, run_on_engine
from fastapi_filestore.storage.paths import generate_key


@dataclass(slots=True)
class Line:
    """Those who wait until one of them has reserved more keys, and what the last one failed with, and when it began.

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
"""Part of an intent's age in which its key may still be taken: the rest is for the upload and its transaction."""

MOST_FOLDERS = 1000
"""Folders whose unused keys are remembered."""
GIVEN_BACK_AT_ONCE = 1000
"""Intents that go in one statement at the end of an application."""


@dataclass(slots=True)
class Reservations:
    """The unused keys of one folder of a backend, in one ledger, of this process; each with the moment it is too old.

    `refused` are those that were taken for content which was refused: their intents go with the next block's coming.
    """

    access: BoundLedger
    backend: str
    prefix: str = ""
    keys: deque[tuple[float, str]] = field(default_factory=deque)
    refused: list[str] = field(default_factory=list)
    size: int = 1
    taken: int = 0
    refilling: WeakKeyDictionary[asyncio.AbstractEventLoop, Lines] = field(default_factory=WeakKeyDictionary)

    def take_ready(self, count: int) -> list[str]:
        """Return up to `count` keys that are reserved and young enough."""
        now, ready = time.monotonic(), list[str]()
        while self.keys and len(ready) < count:
            deadline, key = self.keys.popleft()
            if deadline > now:
                ready.append(key)
        self.taken += len(ready)
        return ready

    async def take(self, count: int, use: ConnectionUse) -> list[str]:
        """Return `count` reserved keys, reserving more where they run out; fewer if that is forbidden."""
        ready, since = self.take_ready(count), time.monotonic()
        while len(ready) < count and use is not ConnectionUse.FORBIDDEN:
            line = self.refilling.setdefault(asyncio.get_running_loop(), defaultdict(Line))[use]
            async with line.waiting(since):
                if not self.keys:
                    await self._refill(count - len(ready), use)
            ready += self.take_ready(count - len(ready))
        return ready

    def give_back(self, key: str) -> None:
        """Let the intent of a key go that was taken, and at which nothing was stored."""
        self.refused.append(key)

    async def _refill(self, missing: int, use: ConnectionUse) -> None:
        # As many as were used of the last block, twice over: a quiet application reserves one key at a time.
        self.size = max(1, missing, min(self.access.ledger.block, 2 * self.taken))
        self.taken = 0
        keys = [generate_key(self.prefix) for _ in range(self.size)]
        deadline = time.monotonic() + USABLE_PART * self.access.ledger.min_age
        await self._write(keys, use)
        self.keys.extend((deadline, key) for key in keys)

    async def _write(self, keys: Sequence[str], use: ConnectionUse) -> None:
        ledger, refused = self.access.ledger, list(self.refused)
        try:
            await run_on_engine(self.access.engine, partial(self._exchange, refused=refused, keys=keys), use)
        except DatabaseFailedError as error:
            explain_missing(error, ledger)
            raise
        del self.refused[: len(refused)]

    def _exchange(self, connection: Connection, *, refused: Sequence[str], keys: Sequence[str]) -> None:
        self.access.ledger.forget(connection, self._locations(refused))
        self.access.ledger.reserve(connection, self.backend, keys)

    def _locations(self, keys: Iterable[str]) -> list[Location]:
        return [(self.backend, key) for key in keys]

    def is_of_another_loop(self) -> bool:
        """Tell whether another event loop that runs uses them: connections of asynchronous drivers are its own."""
        here = asyncio.get_running_loop()
        others = any(loop is not here and loop.is_running() for loop in self.refilling)
        return others and self.access.engine.dialect.is_async

    def give_up(self) -> list[Location]:
        """Return where the unused keys lead, and forget them."""
        unused = [*self.refused, *(key for _, key in self.keys)]
        self.keys.clear()
        self.refused.clear()
        return self._locations(unused)


_reservations: dict[tuple[int, BoundLedger, str, str], Reservations] = {}


def reservations_of(access: BoundLedger, backend: str, prefix: str = "") -> Reservations:
    """Return the reservations of a folder of a backend; a forked process never takes its parent's keys."""
    place = os.getpid(), access, backend, prefix
    found = _reservations.get(place)
    if found is None:
        _forget_oldest()
        found = _reservations.setdefault(place, Reservations(access, backend, prefix))
    return found


def _forget_oldest() -> None:
    """Let the keys of folders go that were used first, where there is one for every tenant: a sweeper finds them."""
    while len(_reservations) >= MOST_FOLDERS:
        _reservations.pop(next(iter(_reservations)), None)


def drop_reservations(access: BoundLedger) -> None:
    """Forget the unused keys of a ledger that lost an intent: a process that slept too long has lost them all."""
    for (pid, owner, *_), reservations in list(_reservations.items()):
        if (pid, owner) == (os.getpid(), access):
            reservations.keys.clear()


async def release_reservations() -> None:
    """Give back all unused keys of this process, at the end of an application; but what another one uses."""
    mine = [key for key, one in _reservations.items() if key[0] == os.getpid() and not one.is_of_another_loop()]
    unused: dict[BoundLedger, list[Location]] = defaultdict(list)
    for key in mine:
        unused[key[1]] += _reservations.pop(key).give_up()
    # All folders of a ledger together, so that no sweeper has to look for what lies there.
    for access, locations in unused.items():
        for start in range(0, len(locations), GIVEN_BACK_AT_ONCE):
            some = locations[start : start + GIVEN_BACK_AT_ONCE]
            await run_on_engine(access.engine, partial(access.ledger.forget, locations=some))
