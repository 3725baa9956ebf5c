"""Where schedules run: a real database beside a real store, put back to the same first rows before each of them."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, Engine, NullPool, column, create_engine, exists, select, table, text, update
from sqlalchemy.dialects.postgresql import JSONB

from fastapi_filestore import StorageRegistry
from fastapi_filestore.orm.uploads.tables import OPEN
from fastapi_filestore.service.sweep.claims import Swept
from fastapi_filestore.service.sweep.sweep import sweep
from fastapi_filestore.storage.backend import UnfinishedUpload
from tests.crash.application import DRIVERS
from tests.crash.child import FIRST_ROWS, Schedule, make_backend
from tests.crash.forkserver import ForkServer, Outcome
from tests.crash.models import LEDGER, UPLOADS, Base
from tests.crash.standings import Upload, read_uploads

FILE_COLUMNS = {
    "records": ("file", "pages"),
    "notes": ("file",),
    UPLOADS.uploads.name: ("file",),
    UPLOADS.segments.name: ("file",),
}
TABLES = ("records", "notes", UPLOADS.uploads.name, UPLOADS.segments.name, LEDGER.table.name)
QUIET_TIMEOUT = 20.0
"""Seconds until PostgreSQL must have noticed that its client was killed."""


@dataclass(frozen=True)
class Record:
    """What a row says of a file."""

    path: str
    size: int
    checksum: str


@dataclass
class State:
    """What is committed, what is stored, and what the ledger knows, at one moment."""

    records: list[Record]
    objects: dict[str, int]
    intents: dict[str, str]
    uploads: dict[str, Upload] = field(default_factory=dict)
    titles: set[str] = field(default_factory=set)

    @property
    def referenced(self) -> set[str]:
        """The object keys that rows point to."""
        return {record.path for record in self.records}

    @property
    def missing(self) -> set[str]:
        """The object keys that rows point to in vain."""
        return {record.path for record in self.records if self.objects.get(record.path) != record.size}

    @property
    def stray(self) -> set[str]:
        """The objects that no row points to."""
        return self.objects.keys() - self.referenced

    @property
    def twice(self) -> set[str]:
        """The object keys that two places in rows point to."""
        return {path for path, number in Counter(record.path for record in self.records).items() if number > 1}

    @property
    def awaited(self) -> set[str]:
        """The object keys where clients store by themselves what no row has yet."""
        return {upload.path for upload in self.uploads.values() if upload.is_open and upload.path is not None}


@dataclass(frozen=True)
class Combination:
    """A kind of session on a kind of database beside a kind of store."""

    mode: str
    database: str
    store: str

    def __str__(self) -> str:
        return f"{self.mode}-{self.database}-{self.store}"


@dataclass
class Place:
    """A database and a store of a combination, with a process that forks schedules."""

    combination: Combination
    url: str
    fs: str
    options: dict[str, object]
    folder: Path
    forks: ForkServer
    first_objects: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind, rest = self.url.split("://", 1)
        pool: dict[str, Any] = {"poolclass": NullPool} if kind == "sqlite" else {}
        self.engine: Engine = create_engine(f"{DRIVERS[kind][0]}://{rest}", **pool)
        self.backend = make_backend(self.schedule(FIRST_ROWS))
        self.registry = StorageRegistry()
        self.registry.register_backend(self.backend)

    @property
    def is_sqlite(self) -> bool:
        """Whether the documented exception for a database with one writer holds."""
        return self.engine.dialect.name == "sqlite"

    @property
    def is_local(self) -> bool:
        """Whether objects are files."""
        return self.combination.store == "local"

    @property
    def journal(self) -> Path:
        """Where processes note uploads that begin inside a transaction."""
        return self.folder / "journal"

    def schedule(self, script: str, **fault: Any) -> Schedule:
        """Return a schedule that runs here."""
        return Schedule(
            script=script,
            url=self.url,
            is_async=self.combination.mode == "async",
            legacy=self.combination.database == "sqlite_legacy",
            fs=self.fs,
            options=self.options,
            journal=self.journal,
            **fault,
        )

    # -- before ------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Create the tables and the first rows, and remember them."""
        Base.metadata.create_all(self.engine)
        outcome = self.forks.run(self.schedule(FIRST_ROWS))
        assert outcome.report is not None, outcome.output
        assert outcome.report.error is None, outcome.report.traceback
        await self.sweep()
        self.first_objects = {path: await self._content(path) for path in (await self.state()).objects}
        self._remember_rows()

    async def aclose(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self.engine.dispose)
        await self.backend.aclose()

    async def run(self, script: str, **fault: Any) -> Outcome:
        """Put the first rows back and run a schedule to its end."""
        self._restore_rows()
        await self._restore_objects()
        self.journal.unlink(missing_ok=True)
        outcome = await asyncio.to_thread(self.forks.run, self.schedule(script, **fault))
        self._wait_until_quiet()
        return outcome

    def _remember_rows(self) -> None:
        if self.is_sqlite:
            shutil.copyfile(self._database_file, self._template_file)
            return
        with self.engine.begin() as connection:
            for name in TABLES:
                connection.execute(text(f"CREATE TABLE first_{name} AS TABLE {name}"))

    def _restore_rows(self) -> None:
        if self.is_sqlite:
            for leftover in self.folder.glob(f"{self._database_file.name}-*"):
                leftover.unlink()
            shutil.copyfile(self._template_file, self._database_file)
            return
        with self.engine.begin() as connection:
            for name in reversed(TABLES):
                connection.execute(text(f"DELETE FROM {name}"))
            for name in TABLES:
                connection.execute(text(f"INSERT INTO {name} SELECT * FROM first_{name}"))

    @property
    def _database_file(self) -> Path:
        return self.folder / "rows.db"

    @property
    def _template_file(self) -> Path:
        return self.folder / "first_rows"

    async def _restore_objects(self) -> None:
        objects = {info.path: info.size async for info in self.backend.list()}
        if extra := objects.keys() - self.first_objects.keys():
            await self.backend.delete(*extra)
        lost = [path for path, content in self.first_objects.items() if objects.get(path) != len(content)]
        await asyncio.gather(*(self.backend.put(path, self.first_objects[path]) for path in lost))
        if self.is_local:
            await self.drop(await self.unfinished())

    def _wait_until_quiet(self) -> None:
        """Wait until the server has ended what a killed client left behind."""
        if self.is_sqlite:
            return
        others = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        deadline = time.monotonic() + QUIET_TIMEOUT
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while connection.execute(others).scalar_one():
                assert time.monotonic() < deadline, "a killed client's transaction is still open"
                time.sleep(0.001)

    # -- after -------------------------------------------------------------------------------------------

    async def state(self) -> State:
        """Look at everything, through nothing of the unit of work."""
        with self.engine.connect() as connection:
            records = list(_records(connection))
            rows = connection.execute(select(LEDGER.table.c.path, LEDGER.table.c.kind))
            intents = {row.path: row.kind for row in rows}
            uploads = read_uploads(connection)
            titles = set(connection.scalars(text("SELECT title FROM records")))
        objects = {info.path: info.size async for info in self.backend.list()}
        return State(records, objects, intents, uploads, titles)

    async def unfinished(self) -> list[UnfinishedUpload]:
        """Return what uploads left that did not come to their end."""
        return [upload async for upload in self.backend.unfinished_uploads()]

    async def drop(self, uploads: Iterable[UnfinishedUpload]) -> None:
        """Remove what such uploads left."""
        for upload in uploads:
            await self.backend.abort_upload(upload)

    async def sweep(self) -> list[Swept]:
        """Let every intent fall due, and settle it, but for those of what clients store for uploads that go on."""
        with self.engine.connect() as connection:
            are_over = connection.scalar(select(exists().where(UPLOADS.uploads.c.expires <= 0)))
        swept = await self._sweep()
        # What uploads held whose time is over, the next sweep deletes.
        return [*swept, *await self._sweep()] if are_over else swept

    async def _sweep(self) -> list[Swept]:
        path, uploads = LEDGER.table.c.path, UPLOADS.uploads.c
        awaited = select(uploads.path).where(uploads.state == OPEN, uploads.path.is_not(None))
        with self.engine.begin() as connection:
            connection.execute(update(LEDGER.table).where(path.not_in(awaited)).values(due_at=0))
        return [intent async for intent in sweep(self.engine, LEDGER, registry=self.registry)]

    async def end_uploads(self) -> list[Swept]:
        """Let the time of every upload be over, and sweep."""
        with self.engine.begin() as connection:
            connection.execute(update(UPLOADS.uploads).values(expires=0))
        return await self.sweep()

    def uploaded_inside(self) -> set[str]:
        """Return the keys of uploads that began inside a transaction."""
        return set(self.journal.read_text().split()) if self.journal.exists() else set()

    async def torn(self, records: Iterable[Record]) -> list[str]:
        """Return the keys whose bytes are not those that their row describes."""
        contents = await asyncio.gather(*(self._content(record.path) for record in records))
        return [
            record.path
            for record, content in zip(records, contents, strict=True)
            # What a client stored by itself has no checksum.
            if (len(content), sha256(content).hexdigest() if record.checksum else None)
            != (record.size, record.checksum)
        ]

    async def _content(self, path: str) -> bytes:
        return await (await self.backend.open(path)).read()


def _records(connection: Connection) -> Iterator[Record]:
    json = JSONB if connection.dialect.name == "postgresql" else JSON
    for name, columns in FILE_COLUMNS.items():
        for row in connection.execute(select(*(column(one, json) for one in columns)).select_from(table(name))):
            for value in row:
                for record in value if isinstance(value, list) else [value] if value else []:
                    yield Record(record["path"], record["size"], record["checksum"])
