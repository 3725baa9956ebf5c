"""A database of every kind beside a local folder, whose objects' ages a test can choose."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakSet

import pytest
from sqlalchemy import (
    Connection,
    Engine,
    String,
    Text,
    cast,
    create_engine,
    insert,
    literal,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session, configure_mappers

from fastapi_filestore import FileObject, FileService, Finding, ObstoreBackend, Swept, audit, storages, sweep
from fastapi_filestore.orm.column import attributes as file_attributes
from fastapi_filestore.orm.column.attributes import file_mappers
from fastapi_filestore.orm.ledger.ledger import DELETION, BoundLedger
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.sessions import run_on_engine
from fastapi_filestore.service import contention
from tests.compiled import compiled_for
from tests.maintenance import models
from tests.maintenance.models import LEDGER, Base, PlainBase, QuickBase, Report
from tests.servers.postgres import Databases, Postgres

KINDS = ["sqlite-sync", "sqlite-async", "postgres-sync", "postgres-async"]
OLD = timedelta(days=2)


@dataclass
class Site:
    """A database, a backend named `shelf`, and what a test does with them."""

    engine: Engine | AsyncEngine
    backend: ObstoreBackend
    root: Path

    @property
    def plain(self) -> Engine:
        """The engine without its asynchronous shell."""
        return self.engine.sync_engine if isinstance(self.engine, AsyncEngine) else self.engine

    @property
    def access(self) -> BoundLedger:
        """The ledger in the database."""
        return BoundLedger(LEDGER, self.plain)

    def session(self) -> Any:
        """Return a new session of the engine's kind."""
        make: Any = AsyncSession if isinstance(self.engine, AsyncEngine) else Session
        return make(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def service(self, model: type[Any] = Report) -> AsyncIterator[FileService[Any]]:
        """Open a service that is closed, not committed, at its end."""
        session = self.session()
        try:
            yield FileService(session, model=model)
        finally:
            await (session.close() if isinstance(session, AsyncSession) else asyncio.to_thread(session.close))

    async def add(self, model: type[Any] = Report, **values: Any) -> Any:
        """Commit a row and return it."""
        async with self.service(model) as service:
            row = await service.create({"file": pending()} | values)
            await service.commit()
            return row

    async def dispose(self) -> None:
        """Close all connections."""
        await (self.engine.dispose() if isinstance(self.engine, AsyncEngine) else asyncio.to_thread(self.plain.dispose))

    async def execute(self, *statements: Any) -> Sequence[Any]:
        """Run statements in a transaction, and return the rows of the last."""

        def run(connection: Connection) -> Sequence[Any]:
            results = [connection.execute(statement) for statement in statements]
            return results[-1].all() if results[-1].returns_rows else []

        return await run_on_engine(self.plain, run)

    async def intend(self, *paths: str, backend: str = "shelf", due_at: float = 0) -> None:
        """Write deletion intents that are due."""
        rows = [{"backend": backend, "path": path, "kind": DELETION, "due_at": due_at} for path in paths]
        await self.execute(insert(LEDGER.table).values(rows))

    async def let_fall_due(self) -> None:
        """Let every intent fall due now."""
        await self.execute(update(LEDGER.table).values(due_at=0))

    async def intents(self) -> set[str]:
        """Return the keys that the ledger knows of."""
        return {path for (path,) in await self.execute(select(LEDGER.table.c.path))}

    async def sweep(self, **options: Any) -> list[Swept]:
        """Sweep once."""
        return [one async for one in sweep(self.engine, LEDGER, **options)]

    async def audit(self, **options: Any) -> list[Finding]:
        """Audit once; what is two days old is old enough."""
        options.setdefault("grace", timedelta(days=1))
        return [finding async for finding in audit(self.engine, [Report], **options)]

    def place(self, path: str, content: bytes = b"stray", *, age: timedelta = OLD) -> Path:
        """Put an object into the folder behind everybody's back."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        moment = time.time() - age.total_seconds()
        os.utime(file, (moment, moment))
        return file

    def objects(self) -> set[str]:
        """Return the keys of the objects in the folder."""
        return {file.relative_to(self.root).as_posix() for file in self.root.rglob("*") if file.is_file()}


def pending(content: bytes = b"content") -> FileObject:
    """Return a file whose bytes are still to be stored."""
    return FileObject(filename="a.txt", content=content)


def briefly(findings: list[Finding]) -> list[tuple[str, str | None, bool]]:
    """Return what matters of findings in most tests."""
    return [(finding.kind.value, finding.path, finding.fixed) for finding in findings]


async def write(site: Site, identity: Any, **values: Any) -> None:
    """Write raw JSON into the columns of a report."""
    await write_json(site, identity, **{name: json.dumps(value) for name, value in values.items()})


async def write_json(site: Site, identity: Any, **texts: str) -> None:
    """Write the text of JSON, or what is none where the database lets one, into the columns of a report."""
    kind = JSONB if site.plain.dialect.name == "postgresql" else Text
    table: Any = Report.__table__
    raw = {name: type_coerce(cast(literal(text, String), kind), kind) for name, text in texts.items()}
    await site.execute(update(table).where(table.c.id == identity).values(raw))


def keys(count: int) -> list[str]:
    """Return fresh object keys, in order."""
    prefix = uuid4().hex
    return [f"{prefix}/{number:04}" for number in range(count)]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[ObstoreBackend]:
    """Register the backend of the suite's columns."""
    backend = ObstoreBackend(key="shelf", fs=tmp_path / "shelf")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("shelf")


@pytest.fixture
def postgres_database(postgres_databases: Databases) -> Postgres:
    """A database with the suite's tables."""
    return postgres_databases.copy("maintenance", create_tables)


@pytest.fixture(autouse=True)
def own_classes(monkeypatch: pytest.MonkeyPatch) -> "WeakSet[Any]":
    """Let there be no mapped classes but the suite's: where other suites have their rows, an audit can't know."""
    configure_mappers()
    own = WeakSet(mapper for mapper in file_mappers() if mapper.class_.__module__ == models.__name__)
    monkeypatch.setattr(file_attributes, "_mappers", own)
    return own


@pytest.fixture(params=KINDS)
async def site(
    request: pytest.FixtureRequest, tmp_path: Path, shelf: ObstoreBackend, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    """A site on every kind of engine; SQLite does not wait long for a lock."""
    monkeypatch.setattr(contention, "PAUSES", (0.02, 0.05))
    site = Site(make_engine(request.param, request, tmp_path), shelf, tmp_path / "shelf")
    if site.plain.dialect.name == "sqlite":
        await run_on_engine(site.plain, create_tables)
    try:
        yield site
    finally:
        try:
            await release_reservations()
        finally:
            await site.dispose()


def make_engine(kind: str, request: pytest.FixtureRequest, folder: Path) -> Engine | AsyncEngine:
    """Return an engine of a kind, with a database of its own."""
    url = database_url(kind, request, folder)
    options: dict[str, Any] = {"execution_options": compiled_for(url)}
    if kind == "sqlite-sync":
        return create_engine(url, connect_args={"check_same_thread": False, "timeout": 0.2}, **options)
    if kind == "sqlite-async":
        return create_async_engine(url, connect_args={"timeout": 0.2}, **options)
    return create_async_engine(url, **options) if kind == "postgres-async" else create_engine(url, **options)


def create_tables(connection: Connection) -> None:
    """Create the tables of all three metadata."""
    for metadata in (Base.metadata, QuickBase.metadata, PlainBase.metadata):
        metadata.create_all(connection)


def database_url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Return the URL of a database of its own for a test."""
    drivers = {"postgres-sync": "postgresql+psycopg", "postgres-async": "postgresql+asyncpg"}
    if kind in drivers:
        database: Postgres = request.getfixturevalue("postgres_database")
        return database.url(drivers[kind])
    return f"sqlite{'+aiosqlite' if kind == 'sqlite-async' else ''}:///{folder}/site.db"
