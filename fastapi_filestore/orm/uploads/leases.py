"""Let one request at a time write to an upload, whichever process serves it, and another one follow if that hangs.

Who comes while somebody else writes asks for the upload; the holder looks for that twice a second, keeps what has come
so far, and lets go. A holder that hears nothing, since its process is gone, is followed when its lease is over: by the
database's clock, or when it was not renewed for as long, which is so on SQLite, too, where each machine's own clock is
the database's. Times decide patience alone: the *fence*, which counts holders, decides whose bytes are the upload's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Connection, Engine, and_, false, or_, select, update

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import (
    FilestoreError,
    FinalUploadError,
    MalformedUploadError,
    UploadBusyError,
    UploadNotFoundError,
    UploadOffsetError,
)
from fastapi_filestore.orm.column.table_rows import take_write_lock
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.sessions import run_on_engine
from fastapi_filestore.orm.uploads.tables import OPEN, UploadTables

LEASE_SECONDS: Final = 15.0
"""How long a holder that says nothing keeps others waiting."""
RENEWED_EVERY: Final = 10
"""Looks between two renewals."""
LOOK_SECONDS: Final = 0.5
"""Between two looks of a process whether anybody wants what it holds, and of whoever waits for that."""


@dataclass(slots=True, eq=False)
class Lease:
    """The right of one request to write to an upload from byte `start` on; it lets go when it `is_wanted`.

    It knows what the upload is for, how long it lasts, and whether it has been given back already. `interrupt` ends
    what the request waits for.
    """

    identity: str
    fence: int
    start: int
    size: int | None
    target: str
    filename: str
    content_type: str
    expires: float
    is_over: bool = False
    is_wanted: bool = False
    interrupt: Callable[[], None] | None = None

    def want(self) -> None:
        """Have the request let go."""
        self.is_wanted = True
        if self.interrupt is not None:
            self.interrupt()

    def move(self, start: int, expires: float, *, is_last: bool) -> None:
        """Go on at another byte, as the row of the upload says by now; the `is_last` one gives the lease back."""
        self.start, self.expires, self.is_over = start, expires, is_last


@dataclass(slots=True, eq=False)
class Keeper:
    """What one event loop holds in one database: a task looks after it as long as it holds anything.

    It looks after `left` ones, too, which could not be given back, since the database was away.
    """

    engine: Engine
    tables: UploadTables
    leases: dict[str, Lease] = field(default_factory=dict[str, Lease])
    left: dict[Lease, float] = field(default_factory=dict[Lease, float])
    task: asyncio.Task[None] | None = None

    def add(self, lease: Lease) -> None:
        """Look after a lease from now on."""
        self.leases[lease.identity] = lease
        self._look_on()

    async def give_back(self, lease: Lease) -> None:
        """Look no longer after a lease, and let others have the upload, at the next look if the database is away."""
        if self.leases.get(lease.identity) is lease:
            del self.leases[lease.identity]
        if lease.is_over:
            return
        try:
            await run_on_engine(self.engine, partial(self._give_back, [lease]))
        except FilestoreError:
            self.left[lease] = monotonic() + LEASE_SECONDS  # after which anybody takes it
            self._look_on()

    def _look_on(self) -> None:
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._keep(), name="fastapi-filestore-leases")

    async def _keep(self) -> None:
        looks = 0
        while await self._is_needed():
            looks += 1
            # While the database is away nobody can ask for anything, and the fence is all that counts.
            with suppress(FilestoreError):
                if left := list(self.left):
                    await run_on_engine(self.engine, partial(self._give_back, left))
                    for lease in left:
                        self.left.pop(lease, None)
                if looks % RENEWED_EVERY == 0:
                    await run_on_engine(self.engine, self._renew)
                wanted = await run_on_engine(self.engine, self._find_wanted)
                for lease in wanted:
                    lease.want()

    async def _is_needed(self) -> bool:
        """Wait until it is time for a look, and return whether there is anything to look after by then."""
        await asyncio.sleep(LOOK_SECONDS)
        self.left = {lease: until for lease, until in self.left.items() if until > monotonic()}
        return bool(self.leases or self.left)

    def _renew(self, connection: Connection) -> None:
        self._change(connection, list(self.leases.values()), lease=database_time() + LEASE_SECONDS)

    def _give_back(self, leases: Sequence[Lease], connection: Connection) -> None:
        self._change(connection, leases, holder=None, lease=0.0, is_wanted=False)

    def _change(self, connection: Connection, leases: Sequence[Lease], **values: object) -> None:
        """Write to the rows of leases, if these hold them still."""
        uploads = self.tables.uploads
        held = [and_(uploads.c.id == lease.identity, uploads.c.fence == lease.fence) for lease in leases]
        connection.execute(update(uploads).where(or_(false(), *held)).values(**values))

    def _find_wanted(self, connection: Connection) -> list[Lease]:
        columns, leases = self.tables.uploads.c, list(self.leases.values())  # more may come meanwhile
        identities = [lease.identity for lease in leases]
        query = select(columns.id, columns.fence, columns.is_wanted).where(columns.id.in_(identities))
        rows = {row.id: (row.fence, row.is_wanted) for row in connection.execute(query)}
        # One whose row is gone, or has another holder, need not go on either.
        return [lease for lease in leases if rows.get(lease.identity) != (lease.fence, False)]


Keepers = WeakKeyDictionary[Engine, Keeper]
_keepers: WeakKeyDictionary[asyncio.AbstractEventLoop, Keepers] = WeakKeyDictionary()


@dataclass(slots=True)
class Attempt:
    """What a request wants of an upload: to write to it from byte `start` on, and to say how long it is, perhaps.

    It may be `for_assembly`, for which an upload that is made of others is taken, too. It has `seen` who holds the
    upload, by fence and lease, and since when.
    """

    tables: UploadTables
    identity: str
    mine: ColumnElement[bool]
    start: int
    size: int | None
    for_assembly: bool = False
    seen: tuple[int, float] | None = None
    since: float = 0.0

    async def take(self, engine: Engine) -> Lease:
        """Take the upload, as soon as whoever holds it lets go."""
        deadline = monotonic() + LEASE_SECONDS + 2 * LOOK_SECONDS
        while (lease := await run_on_engine(engine, self._try)) is None:
            if monotonic() > deadline:
                raise UploadBusyError(self.identity)
            await asyncio.sleep(LOOK_SECONDS / 5)
        return lease

    def _try(self, connection: Connection) -> Lease | None:
        uploads, columns = self.tables.uploads, self.tables.uploads.c
        if connection.dialect.name == "sqlite":  # which refuses at once who has read before another one writes
            take_write_lock(connection, uploads)
        whole = and_(columns.id == self.identity, self.mine, columns.state == OPEN)
        row = connection.execute(select(uploads).where(whole)).first()
        if row is None:
            raise UploadNotFoundError(self.identity)
        if row.parts is not None and not self.for_assembly:
            raise FinalUploadError(self.identity)
        self._check_size(row.size, row.received)
        if row.holder is None and row.received != self.start:
            raise UploadOffsetError(start=self.start, received=row.received)
        if self.seen != (row.fence, row.lease):
            self.seen, self.since = (row.fence, row.lease), monotonic()
        is_free: ColumnElement[bool] = or_(columns.holder.is_(None), columns.lease <= database_time())
        if monotonic() - self.since > LEASE_SECONDS:
            is_free = columns.lease == row.lease
        taken = connection.execute(
            update(uploads)
            .where(whole, is_free, columns.fence == row.fence, columns.received == row.received)
            .values(
                holder="request",
                lease=database_time() + LEASE_SECONDS,
                is_wanted=False,
                fence=columns.fence + 1,
            )
        ).rowcount
        if taken == 1:
            if row.received != self.start:
                raise UploadOffsetError(start=self.start, received=row.received)
            size = row.size if self.size is None else self.size
            about = (row.target, row.filename, row.content_type, row.expires)
            return Lease(self.identity, row.fence + 1, row.received, size, *about)
        connection.execute(update(uploads).where(whole, columns.is_wanted.is_(False)).values(is_wanted=True))
        return None

    def _check_size(self, known: int | None, received: int) -> None:
        if self.size is None:
            return
        if known not in {None, self.size}:
            raise MalformedUploadError(f"Upload-Length is {self.size:,}, and was {known:,}: it can't be changed.")
        if self.size < received:
            raise MalformedUploadError(f"Upload-Length is {self.size:,}, and {received:,} bytes have come already.")


@asynccontextmanager
async def holding(
    engine: Engine,
    tables: UploadTables,
    identity: str,
    mine: ColumnElement[bool],
    *,
    start: int,
    size: int | None = None,
    for_assembly: bool = False,
) -> AsyncIterator[Lease]:
    """Hold an upload while the block writes to it from byte `start` on; `size` is how long it is, if that is said now.

    It may be held `for_assembly`, too, once all its bytes are there: others that want to wait then.

    Raises:
        UploadNotFoundError: There is no such upload, or its bytes are all there.
        UploadOffsetError: The upload is at another byte.
        MalformedUploadError: Another size was said before.
        UploadBusyError: Whoever holds it does not let go, and is not gone either.
    """
    lease = await Attempt(tables, identity, mine, start, size, for_assembly).take(engine)
    keepers = _keepers.setdefault(asyncio.get_running_loop(), WeakKeyDictionary())
    keeper = keepers.get(engine)
    if keeper is None:
        keeper = keepers[engine] = Keeper(engine, tables)
    keeper.add(lease)
    try:
        yield lease
    finally:
        await finish(keeper.give_back(lease))
