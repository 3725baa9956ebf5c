"""Keep both sides of an audit in one temporary file, so that comparing millions takes no memory.

A listing may be unsorted, and rows come in the order of their keys, not of their objects'. SQLite sorts either outside
of memory when it builds an index, and joins the two by it.
"""

import pickle
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Engine

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.service.audit.findings import RowIdentity
from fastapi_filestore.service.audit.references import FileTable, ObjectLocation, OtherRegistries, Reference
from fastapi_filestore.service.contention import run_despite_others
from fastapi_filestore.storage.backend import LinkedObjects, ObjectInfo, StorageBackend
from fastapi_filestore.storage.paths import forms_in_stores

T = TypeVar("T")

OBJECTS_AT_ONCE = 1000
CACHE_KIB = 16 * 1024
SETTINGS = (
    # Nothing in it outlives the audit, so nothing needs to survive a crash.
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA temp_store = FILE",
    f"PRAGMA cache_size = -{CACHE_KIB}",
)
TABLES = (
    "CREATE TABLE objects (backend TEXT, path TEXT, size INTEGER, etag TEXT, modified REAL)",
    "CREATE TABLE refs (backend TEXT, path TEXT, size INTEGER, etag TEXT, checksum TEXT, row BLOB)",
    "CREATE TABLE held (backend TEXT, path TEXT)",
    "CREATE TABLE unreadable (name TEXT, place TEXT, row BLOB, PRIMARY KEY (name, place)) WITHOUT ROWID",
)
INDEXES = (
    "CREATE INDEX objects_location ON objects (backend, path)",
    "CREATE INDEX refs_location ON refs (backend, path)",
    "CREATE INDEX held_location ON held (backend, path)",
)
ORPHANS = """
    FROM objects AS o
    WHERE (backend, path) > (:backend, :path) AND modified < :before
    AND NOT EXISTS (SELECT 1 FROM refs AS r WHERE r.backend = o.backend AND r.path = o.path)
    AND NOT EXISTS (SELECT 1 FROM held AS h WHERE h.backend = o.backend AND h.path = o.path)
"""
UNREADABLE = "SELECT row FROM unreadable WHERE (name, place) > (:backend, :path) ORDER BY name, place LIMIT :limit"
REFERENCES = """
    SELECT r.row, r.backend, r.path, r.size, r.etag, r.checksum FROM refs AS r
    LEFT JOIN objects AS o ON o.backend = r.backend AND o.path = r.path
    WHERE (r.backend, r.path) > (:backend, :path)
    AND (:all OR o.path IS NULL OR r.size <> o.size OR r.etag <> o.etag)
    ORDER BY r.backend, r.path
"""

UNLISTED = """
    SELECT path FROM refs AS r WHERE backend = :backend AND path > :path
    AND NOT EXISTS (SELECT 1 FROM objects AS o WHERE o.backend = r.backend AND o.path = r.path)
    UNION
    SELECT path FROM held AS h WHERE backend = :backend AND path > :path
    AND NOT EXISTS (SELECT 1 FROM objects AS o WHERE o.backend = h.backend AND o.path = h.path)
    ORDER BY path LIMIT :limit
"""
SHARED = """
    SELECT backend, path FROM refs WHERE (backend, path) > (:backend, :path)
    GROUP BY backend, path HAVING count(DISTINCT row) > 1 ORDER BY backend, path LIMIT :limit
"""
ROWS = "SELECT DISTINCT row FROM refs WHERE backend = :backend AND path = :path LIMIT :limit"


class Progress(NamedTuple):
    """How far something long has come: what it does, how many of how many; None if nobody knows how many there are."""

    step: str
    done: int = 0
    total: int | None = None


class Inventory:
    """The objects that stores list and the references that rows hold, side by side on disk.

    `doubtful` are the tables that have rows which can't be read, each with the backends whose objects these may hold;
    `rows` is how many rows were read, and `files` how many files they hold.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.doubtful: dict[str, set[str]] = {}
        self.rows = self.files = 0
        self.progress = Progress("listing objects")

    def advance(self, step: str, number: int, total: int | None = None) -> None:
        """Note that so many more are done of a step, for those who watch."""
        done = self.progress.done if self.progress.step == step else 0
        self.progress = Progress(step, done + number, total)

    async def add_objects(self, backend: str, objects: Iterable[ObjectInfo]) -> None:
        """Take in a part of a listing."""
        rows = [(backend, info.path, info.size, info.etag, info.last_modified.timestamp()) for info in objects]
        self.advance("listing objects", len(rows))
        await self._insert("INSERT INTO objects VALUES (?, ?, ?, ?, ?)", rows)

    async def add_references(self, references: Iterable[Reference]) -> None:
        """Take in what rows hold."""
        rows = [
            (*reference.location, reference.size, reference.etag, reference.checksum, _row(reference.row))
            for reference in references
        ]
        self.files += len(rows)
        self.advance("reading rows", len(rows))
        await self._insert("INSERT INTO refs VALUES (?, ?, ?, ?, ?, ?)", rows)

    async def add_held(self, locations: Iterable[ObjectLocation]) -> None:
        """Take in where no object is an orphan, whatever else there is to say of it."""
        await self._insert("INSERT INTO held VALUES (?, ?)", list(locations))

    async def add_unreadable(self, rows: Iterable[RowIdentity]) -> None:
        """Take in which rows can't be read."""
        values = [(*place_of(row), _row(row)) for row in rows]
        await self._insert("INSERT OR REPLACE INTO unreadable VALUES (?, ?, ?)", values)

    async def unreadable(self, *, after: ObjectLocation, limit: int) -> list[RowIdentity]:
        """Return the next rows that could not be read, after one's place."""
        found = await self._run(UNREADABLE, {**after._asdict(), "limit": limit})
        return [_identity(row) for (row,) in found]

    async def forget_backend(self, backend: str) -> None:
        """Drop all that is known of a backend."""
        for table in ("objects", "refs"):
            await self._run(f"DELETE FROM {table} WHERE backend = ?", (backend,))  # noqa: S608 - names of our own

    async def sort(self) -> None:
        """Make ready for the questions below."""
        for statement in INDEXES:
            await self._run(statement)

    async def orphans(self, *, after: ObjectLocation, before: datetime, limit: int) -> list[ObjectLocation]:
        """Return the next objects that no row held, last modified before a moment."""
        values = {**after._asdict(), "before": before.timestamp(), "limit": limit}
        found = await self._run(f"SELECT backend, path {ORPHANS} ORDER BY backend, path LIMIT :limit", values)
        return [ObjectLocation(backend, path) for backend, path in found]

    async def count_orphans(self, *, after: ObjectLocation, before: datetime) -> int:
        """Return how many objects of a backend that no row held there are, at the most."""
        values = {**after._asdict(), "before": before.timestamp()}
        [(count,)] = await self._run(f"SELECT count(*) {ORPHANS} AND backend = :backend", values)
        return int(count)

    async def count_objects(self, backend: str) -> int:
        """Return how many objects a backend has."""
        [(count,)] = await self._run("SELECT count(*) FROM objects WHERE backend = ?", (backend,))
        return int(count)

    async def references(
        self, *, after: ObjectLocation, everything: bool, limit: int
    ) -> AsyncGenerator[list[Reference], None]:
        """Yield batches of references: of every file, or of those only whose object is not there or looks different."""
        values = {**after._asdict(), "all": everything}
        # A cursor that its thread lets go of later resets a statement that the next thread may run just then.
        with closing(self._connection.cursor()) as cursor:
            await finish(THREADS.run(cursor.execute, REFERENCES, values))
            while rows := await finish(THREADS.run(cursor.fetchmany, limit)):
                yield [Reference(_identity(row), *rest) for row, *rest in rows]

    async def unlisted(self, *, after: ObjectLocation, limit: int) -> list[str]:
        """Return the next paths that rows held in a backend and its listing did not show."""
        return [path for (path,) in await self._run(UNLISTED, {**after._asdict(), "limit": limit})]

    async def shared(self, *, after: ObjectLocation, limit: int) -> list[ObjectLocation]:
        """Return the next objects that several places in rows held."""
        found = await self._run(SHARED, {**after._asdict(), "limit": limit})
        return [ObjectLocation(backend, path) for backend, path in found]

    async def rows_holding(self, at: ObjectLocation, *, limit: int) -> list[RowIdentity]:
        """Return some of the places in rows that held an object."""
        found = await self._run(ROWS, {**at._asdict(), "limit": limit})
        return sorted((_identity(row) for (row,) in found), key=str)

    async def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with closing(self._connection.cursor()) as cursor:
            await finish(THREADS.run(cursor.executemany, statement, rows))

    async def _run(self, statement: str, values: Any = ()) -> list[Any]:
        with closing(self._connection.cursor()) as cursor:
            return await finish(THREADS.run(lambda: cursor.execute(statement, values).fetchall()))


def place_of(row: RowIdentity) -> ObjectLocation:
    """Return where a row that can't be read is in their order."""
    return ObjectLocation(row.table, f"{row.column} {row.identity!r}")


def _identity(row: bytes) -> RowIdentity:
    table, column, *identity = pickle.loads(row)  # noqa: S301 - from a folder of this process's own
    return RowIdentity(table, column, tuple(identity))


def _row(identity: RowIdentity) -> bytes:
    # Primary keys are of any type.
    return pickle.dumps((identity.table, identity.column, *identity.identity), pickle.HIGHEST_PROTOCOL)


@contextmanager
def inventory() -> Iterator[Inventory]:
    """Keep an inventory in a temporary folder while the block runs."""
    with (
        TemporaryDirectory(prefix="filestore-audit-") as folder,
        # Worker threads use it, one after the other.
        closing(sqlite3.connect(Path(folder) / "inventory.db", check_same_thread=False)) as connection,
    ):
        for statement in (*SETTINGS, *TABLES):
            connection.execute(statement)
        yield Inventory(connection)


async def add_objects(stock: Inventory, backend: StorageBackend) -> None:
    """List a backend into an inventory."""
    async for objects in batches(backend.list(), OBJECTS_AT_ONCE):
        await stock.add_objects(backend.key, objects)


async def add_rows(
    stock: Inventory, engine: Engine, table: FileTable, backends: Collection[str], registries: OtherRegistries
) -> None:
    """Read the rows of a table into an inventory, in many short transactions: a long one would be in others' way.

    Rows that can't be read may hold objects of the backends, among those given, that the table's columns, other rows of
    it, or such a value itself name.
    """
    last, named, doubtful = None, table.backends, False
    while rows := await run_despite_others(engine, partial(table.read, after=last)):
        stock.rows += len(rows)
        references = [reference for row in rows for reference in row.references]
        asked, others = registries.split(table, references)
        await stock.add_references(asked)
        # What a store may list it as, if not by the key that the row has.
        listed = {ObjectLocation(file.backend, form) for file in references for form in forms_in_stores(file.path)}
        await stock.add_held((listed | {file.location for file in others}) - {file.location for file in asked})
        unreadable = [value for row in rows for value in row.unreadable]
        await stock.add_unreadable(value.row for value in unreadable)
        named.update(file.backend for file in references)
        texts = [text for value in unreadable for text in value.texts]
        named.update(backend for backend in backends if any(backend in text for text in texts))
        doubtful = doubtful or bool(unreadable)
        last = rows[-1].identity
    if doubtful:
        stock.doubtful[table.table.fullname] = named.intersection(backends)


async def add_linked(stock: Inventory, backend: StorageBackend) -> None:
    """Take in what links lead the rows to: no listing follows them."""
    if not (isinstance(backend, LinkedObjects) and backend.has_links):
        return
    after = ObjectLocation(backend.key, "")
    while paths := await stock.unlisted(after=after, limit=OBJECTS_AT_ONCE):
        leads = zip(paths, await backend.listed_as(paths), strict=True)
        await stock.add_held(ObjectLocation(backend.key, listed) for path, listed in leads if listed != path)
        after = ObjectLocation(backend.key, paths[-1])


async def batches(items: AsyncIterator[T], size: int) -> AsyncIterator[list[T]]:
    """Join what an iterator yields to lists."""
    batch: list[T] = []
    async for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
