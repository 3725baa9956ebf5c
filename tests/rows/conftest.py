"""One suite of transaction behaviours for sync and async sessions on SQLite and PostgreSQL.

A test speaks to the session through functions of a plain `Session`; `Work` runs them in whichever session it has.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import JSON, Engine, Result, create_engine, event, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, ObstoreBackend, StorageBackend, storages
from fastapi_filestore.orm.ledger.ledger import DELETION_GRACE, LedgerTarget, ledger_of
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.ledger.table import ask_for_triggers
from fastapi_filestore.orm.sessions import run_in_session
from fastapi_filestore.service.sweep.claims import Swept
from fastapi_filestore.service.sweep.sweep import sweep
from fastapi_filestore.storage.paths import upload_expiry
from fastapi_filestore.testing import assert_no_orphans, referenced_paths
from tests.compiled import compiled_for
from tests.rows.models import FILED, LEDGER, Base, Document
from tests.servers.postgres import Databases, Postgres

T = TypeVar("T")


@dataclass
class Work:
    """A session of either kind, spoken to through functions of a plain one."""

    session: AsyncSession | Session

    @property
    def plain_session(self) -> Session:
        """The plain session, which listeners are told."""
        return self.session.sync_session if isinstance(self.session, AsyncSession) else self.session

    async def do(self, work: Callable[[Session], T]) -> T:
        """Run a function of the session as its users do: in its greenlet, or in a thread."""
        return await run_in_session(self.session, work)

    async def add(self, row: object) -> None:
        """Add a row."""
        await self.do(lambda session: session.add(row))

    async def add_all(self, rows: Iterable[object]) -> None:
        """Add rows."""
        await self.do(lambda session: session.add_all(rows))

    async def get(self, model: type[T], identity: object, **options: Any) -> T:
        """Return the row of a primary key."""
        return await self.do(lambda session: session.get_one(model, identity, **options))

    async def merge(self, row: T, **options: Any) -> T:
        """Merge a row into the session."""
        return await self.do(lambda session: session.merge(row, **options))

    async def refresh(self, row: object, *names: Any, **options: Any) -> None:
        """Load a row again."""
        await self.do(lambda session: session.refresh(row, *names, **options))

    async def delete(self, row: object) -> None:
        """Delete a row."""
        await self.do(lambda session: session.delete(row))

    async def execute(self, statement: Any, *parameters: Any, **options: Any) -> Result[Any]:
        """Execute a statement."""
        return await self.do(lambda session: session.execute(statement, *parameters, **options))

    async def scalars(self, statement: Any, *parameters: Any) -> list[Any]:
        """Return the first column of what a statement yields."""
        return await self.do(lambda session: list(session.scalars(statement, *parameters)))

    async def scalar_one(self, statement: Any) -> Any:
        """Return the only value that a statement yields."""
        return await self.do(lambda session: session.scalars(statement).one())

    async def scalar(self, statement: Any) -> Any:
        """Return the first value that a statement yields, or None."""
        return await self.do(lambda session: session.scalar(statement))

    async def flush(self) -> None:
        """Flush."""
        await self.do(lambda session: session.flush())

    async def commit(self) -> None:
        """Commit."""
        await self.do(lambda session: session.commit())

    async def rollback(self) -> None:
        """Roll back."""
        await self.do(lambda session: session.rollback())

    async def close(self) -> None:
        """Close without a word about the transaction."""
        await self.do(lambda session: session.close())


class Rows:
    """A database with the suite's tables, beside a backend."""

    def __init__(self, engine: Engine | AsyncEngine, backend: StorageBackend) -> None:
        self.engine, self.backend = engine, backend

    @property
    def json(self) -> type[JSON]:
        """The type of the file columns in this database, for writing raw JSON."""
        return JSONB if self.engine.dialect.name == "postgresql" else JSON

    @asynccontextmanager
    async def work(self, **options: Any) -> AsyncIterator[Work]:
        """Open a session and close it at the end."""
        make: Any = AsyncSession if isinstance(self.engine, AsyncEngine) else Session
        work = Work(make(self.engine, **options))
        try:
            yield work
        finally:
            await work.close()

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Collect the SQL that the engine is given during the block."""
        seen: list[str] = []

        def note(*call: Any) -> None:
            seen.append(call[2])

        engine = self.engine.sync_engine if isinstance(self.engine, AsyncEngine) else self.engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(engine, "before_cursor_execute", note)

    async def keys(self) -> set[str]:
        """Return the keys of the objects in the store."""
        return {info.path async for info in self.backend.list()}

    async def add(self, **values: Any) -> int:
        """Commit a document and return its id."""
        async with self.work() as work:
            document = Document(**values)
            await work.add(document)
            await work.commit()
            return await work.do(lambda session: document.id)

    async def content(self, identity: int) -> bytes | None:
        """Return the bytes of a document's file as another session sees it."""
        async with self.work() as work:
            file = await work.do(lambda s: s.scalars(select(Document.file).where(Document.id == identity)).one())
            return None if file is None else await file.get_content_async()

    async def check(self) -> None:
        """Assert the invariants: rows and objects agree."""
        async with self.work() as work:
            await assert_no_orphans(work.session, self.backend, *FILED)
            live = set(await work.do(lambda s: referenced_paths(s, FILED, "rows")))
        assert not live & await self.intents(), "intents of files that rows point to"

    @property
    def has_ledger(self) -> bool:
        """Whether the suite runs with its ledger."""
        return ledger_of(Base.metadata) is not None

    @property
    def has_triggers(self) -> bool:
        """Whether the database writes intents, too, which a session looks for before it deletes."""
        ledger = ledger_of(Base.metadata)
        return ledger is not None and ledger.triggers

    async def sweep(self) -> list[Swept]:
        """Let every intent fall due, and settle it."""
        await release_reservations()
        async with self.work() as work:
            await work.execute(update(LEDGER.table).values(due_at=0))
            await work.commit()
        return [swept async for swept in sweep(self.engine, LEDGER)]

    async def intents(self, kind: str | None = None) -> set[str]:
        """Return the keys that the ledger holds intents of."""
        statement = select(LEDGER.table.c.path)
        if kind is not None:
            statement = statement.where(LEDGER.table.c.kind == kind)
        async with self.work() as work:
            return set(await work.do(lambda s: s.scalars(statement).all()))


def pending(content: bytes = b"content", filename: str = "a.txt") -> FileObject:
    """Return a file whose bytes are still to be stored."""
    return FileObject(filename=filename, content=content)


@pytest.fixture
def backend() -> Iterator[ObstoreBackend]:
    """Register the backend of the suite's columns."""
    backend = ObstoreBackend(key="rows", fs="memory://")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("rows")


PATIENCE = 30.0
"""Seconds that a session waits for SQLite's lock, however busy the machine is."""
KINDS = ["sqlite-sync", "sqlite-async", "postgres-sync", "postgres-async"]


UNLEDGERED = [f"{kind}-unledgered" for kind in KINDS]
LEDGER_OR_NOT = [*KINDS, *UNLEDGERED] if "EVERY_KIND" in os.environ else [*KINDS[::3], *UNLEDGERED[1:3]]
"""For tests of what differs without a ledger: every kind once, on either database with a ledger and without."""

LEDGERED = [*KINDS, "sqlite-sync-triggers", "postgres-async-triggers"]


EVERY_KIND = [*LEDGERED, "sqlite-async-unledgered"]


@pytest.fixture(params=EVERY_KIND)
async def rows(
    request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rows]:
    """Give each test a fresh database of every kind, and check the invariants at its end."""
    if request.param.endswith("unledgered"):
        monkeypatch.setattr(Base.metadata, "info", {})
    if request.param.endswith("triggers"):
        _add_triggers(monkeypatch)
    engine = _engine(request, tmp_path)
    rows = Rows(engine, backend)
    try:
        yield rows
        await rows.sweep()
        await rows.check()
        # Of what clients may still store, one stays until they can't.
        assert {path for path in await rows.intents() if not upload_expiry(path)} == set()
    finally:
        await (engine.dispose() if isinstance(engine, AsyncEngine) else asyncio.to_thread(engine.dispose))


def _engine(request: pytest.FixtureRequest, folder: Path) -> Engine | AsyncEngine:
    match request.param.split("-")[:2]:
        case ["sqlite", "sync"]:
            url = f"sqlite:///{_sqlite(request, folder)}"
            arguments = {"check_same_thread": False, "timeout": PATIENCE}
            sync = create_engine(url, connect_args=arguments, execution_options=compiled_for(url))
            begin_sqlite_properly(sync)
            return sync
        case ["sqlite", _]:
            url = f"sqlite+aiosqlite:///{_sqlite(request, folder)}"
            engine = create_async_engine(url, connect_args={"timeout": PATIENCE}, execution_options=compiled_for(url))
            begin_sqlite_properly(engine.sync_engine)
            return engine
        case [_, "sync"]:
            url = _postgres(request).url("postgresql+psycopg")
            return create_engine(url, execution_options=compiled_for(url))
        case _:
            url = _postgres(request).url("postgresql+asyncpg")
            return create_async_engine(url, execution_options=compiled_for(url))


@pytest.fixture(scope="session")
def sqlite_templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the file of a database that has the suite's tables, of each name one."""
    folder = tmp_path_factory.mktemp("templates")

    def template(name: str) -> Path:
        path = folder / f"{name}.db"
        if not path.exists():
            engine = create_engine(f"sqlite:///{path}")
            Base.metadata.create_all(engine)
            engine.dispose()
        return path

    return template


def _sqlite(request: pytest.FixtureRequest, folder: Path) -> Path:
    template: Callable[[str], Path] = request.getfixturevalue("sqlite_templates")
    return Path(shutil.copy(template(request.param.removeprefix("sqlite-")), folder / "rows.db"))


def _postgres(request: pytest.FixtureRequest) -> Postgres:
    databases: Databases = request.getfixturevalue("postgres_databases")
    return databases.copy("rows-triggers" if "triggers" in request.param else "rows", Base.metadata.create_all)


def _add_triggers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Base.metadata, "info", {"fastapi_filestore.ledger": replace(LEDGER, triggers=True)})
    ask_for_triggers(Base.metadata, LedgerTarget(LEDGER.table.name, LEDGER.table.schema, DELETION_GRACE))


def begin_sqlite_properly(engine: Engine) -> None:
    """Let SAVEPOINT work: SQLAlchemy's documented recipe for pysqlite."""

    @event.listens_for(engine, "connect")
    def leave_begin_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")
