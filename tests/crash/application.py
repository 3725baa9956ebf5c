"""What a script works with: sessions of either kind on one engine, spoken to through functions of a plain session."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from fastapi_filestore import FileService
from fastapi_filestore.orm.sessions import run_in_session
from tests.crash.models import Document

T = TypeVar("T")

DRIVERS = {"sqlite": ("sqlite", "sqlite+aiosqlite"), "postgresql": ("postgresql+psycopg", "postgresql+asyncpg")}
LOCK_TIMEOUT = 2.0
"""Seconds that SQLite waits for its one writer."""


@dataclass
class Work:
    """A session of either kind."""

    session: AsyncSession | Session

    async def do(self, work: Callable[[Session], T]) -> T:
        """Run a function of the session as its users do: in its greenlet, or in a thread."""
        return await run_in_session(self.session, work)

    async def commit(self) -> None:
        """Commit."""
        await self.do(lambda session: session.commit())

    async def rollback(self) -> None:
        """Roll back."""
        await self.do(lambda session: session.rollback())

    async def close(self) -> None:
        """Close without a word about the transaction."""
        await self.do(lambda session: session.close())

    async def document(self, title: str) -> Document:
        """Load a document."""
        return await self.do(lambda session: session.query(Document).filter_by(title=title).one())

    def service(self) -> FileService[Document]:
        """Serve documents with this session."""
        return FileService(self.session, model=Document)


class Application:
    """The process that a schedule kills: an engine, sync or async, and sessions on it."""

    def __init__(self, url: str, *, is_async: bool, legacy: bool = False) -> None:
        kind, rest = url.split("://", 1)
        options: dict[str, Any] = {"connect_args": {"timeout": LOCK_TIMEOUT}} if kind == "sqlite" else {}
        target = f"{DRIVERS[kind][is_async]}://{rest}"
        self.engine: Engine | AsyncEngine
        self.engine = create_async_engine(target, **options) if is_async else create_engine(target, **options)
        self.plain_engine: Engine = self.engine.sync_engine if isinstance(self.engine, AsyncEngine) else self.engine
        self.opened: list[Work] = []
        if kind == "sqlite" and not legacy:
            begin_properly(self.plain_engine)

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Work]:
        """Open a session and close it at the end."""
        async with self._closing(self.open()) as work:
            yield work

    @asynccontextmanager
    async def borrowing(self) -> AsyncIterator[Work]:
        """Open a session on a connection whose transaction is the block's, and commit that at its end."""
        if isinstance(self.engine, AsyncEngine):
            async with self.engine.begin() as connection, AsyncSession(connection) as session:
                yield Work(session)
        else:
            borrowed = await asyncio.to_thread(self.engine.connect)
            try:
                transaction = await asyncio.to_thread(borrowed.begin)
                async with self._closing(Work(Session(borrowed))) as work:
                    yield work
                await asyncio.to_thread(transaction.commit)
            finally:
                await asyncio.to_thread(borrowed.close)

    @asynccontextmanager
    async def _closing(self, work: Work) -> AsyncIterator[Work]:
        try:
            yield work
        finally:
            await work.close()

    def open(self) -> Work:
        """Open a session that the caller closes."""
        work = Work(AsyncSession(self.engine) if isinstance(self.engine, AsyncEngine) else Session(self.engine))
        self.opened.append(work)
        return work


def begin_properly(engine: Engine) -> None:
    """Let SAVEPOINT work in SQLite: SQLAlchemy's documented recipe for pysqlite."""

    @event.listens_for(engine, "connect")
    def leave_begin_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")
