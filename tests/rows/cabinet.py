"""A database whose deleted files are kept for a week, beside a backend: what a test does with them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import JSON, Engine, Table, select, text, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import FileObject, Finding, Ledger, ObstoreBackend, StoredObject, Swept, add_ledger, audit, sweep
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.sessions import run_on_engine
from tests.rows.conftest import Work

WEEK = timedelta(days=7)
KINDS = [
    "sqlite-sync",
    "sqlite-async",
    "postgres-sync",
    "postgres-async",
    "sqlite-sync-triggers",
    "postgres-async-triggers",
]


@dataclass
class Family:
    """A base with one class of rows, and its ledger."""

    base: type[DeclarativeBase]
    model: type[Any]
    ledger: Ledger

    @property
    def table(self) -> Table:
        """The table of the class."""
        return self.base.metadata.tables["papers"]


def family(*, triggers: bool) -> Family:
    """Define a class whose deleted files are kept for a week."""

    class Base(DeclarativeBase):
        pass

    ledger = add_ledger(Base.metadata, triggers=triggers, keep_deleted=WEEK)

    class Paper(Base):
        __tablename__ = "papers"

        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))
        pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="rows", multiple=True))

    return Family(Base, Paper, ledger)


PLAIN, TRIGGERED = family(triggers=False), family(triggers=True)


class Cabinet:
    """A database whose deleted files are kept, beside a backend."""

    def __init__(self, engine: Engine | AsyncEngine, family: Family, backend: ObstoreBackend) -> None:
        self.engine, self.family, self.backend = engine, family, backend

    @property
    def plain(self) -> Engine:
        """The engine without its asynchronous shell."""
        return self.engine.sync_engine if isinstance(self.engine, AsyncEngine) else self.engine

    @property
    def model(self) -> Any:
        """The class of the rows."""
        return self.family.model

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Work]:
        """Open a session and close it at the end."""
        make: Any = AsyncSession if isinstance(self.engine, AsyncEngine) else Session
        work = Work(make(self.engine, expire_on_commit=False))
        try:
            yield work
        finally:
            await work.close()

    async def do(self, change: Callable[[Session], Any]) -> Any:
        """Run a function in a session and commit it."""
        async with self.work() as work:
            result = await work.do(change)
            await work.commit()
            return result

    async def add(self, **values: Any) -> Any:
        """Commit a row and return it, detached."""
        row = self.model(**values)
        await self.do(lambda session: session.add(row))
        return row

    async def remove(self, identity: int) -> None:
        """Delete a row."""
        await self.do(lambda session: session.delete(session.get_one(self.model, identity)))

    async def rows(self) -> list[Any]:
        """Return all rows as another session sees them."""
        result: list[Any] = await self.do(lambda session: list(session.scalars(select(self.model))))
        return result

    async def execute(self, *statements: Any) -> None:
        """Run statements that no session knows of."""
        await run_on_engine(self.plain, lambda connection: [connection.execute(each) for each in statements])

    def json(self, value: object) -> Any:
        """Return a value for a statement that no session knows of."""
        return type_coerce(value, JSONB if self.plain.dialect.name == "postgresql" else JSON)

    async def intents(self) -> dict[str, tuple[int, int]]:
        """Return the deletion intents: of each path the hours till it falls due, and the attempts."""
        columns = self.family.ledger.table.c
        clock = "(julianday('now') - 2440587.5) * 86400.0"
        if self.plain.dialect.name == "postgresql":
            clock = "EXTRACT(EPOCH FROM clock_timestamp())::double precision"
        statement = select(columns.path, columns.due_at - text(clock), columns.attempts).where(columns.kind == "delete")
        found = await run_on_engine(self.plain, lambda connection: connection.execute(statement).all())
        return {path: (round(seconds / 3600), attempts) for path, seconds, attempts in found}

    async def keys(self) -> set[str]:
        """Return the keys of the objects in the store."""
        return {info.path async for info in self.backend.list()}

    async def sweep(self) -> list[Swept]:
        """Sweep what is due."""
        return [swept async for swept in sweep(self.engine, self.family.ledger)]

    async def let_fall_due(self) -> None:
        """Let every intent fall due now."""
        await release_reservations()
        await self.execute(update(self.family.ledger.table).values(due_at=0))

    async def audit(self) -> list[Finding]:
        """Audit objects of any age."""
        return [finding async for finding in audit(self.engine, self.model, grace=timedelta(seconds=-5))]


def path_of(file: FileObject) -> str:
    """Return the key of a stored file."""
    assert file.path is not None
    return file.path
