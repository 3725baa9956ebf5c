"""Sessions that read from a replica, by SQLAlchemy's documented recipe: files are kept with what is written."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Delete, Engine, Update, create_engine, delete, event, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from fastapi_filestore import FileService
from tests.rows.conftest import Rows, Work, pending
from tests.rows.models import Document


class Replicated:
    """The rows of a test behind sessions that write to its engine and read through one that can't write."""

    def __init__(self, rows: Rows, reading: Engine | AsyncEngine) -> None:
        self.rows = rows
        primary, replica = _plain(rows.engine), _plain(reading)

        class RoutedSession(Session):
            """The recipe of SQLAlchemy's documentation, "Custom Vertical Partitioning"."""

            def get_bind(self, mapper: Any = None, *, clause: Any = None, **rest: Any) -> Engine:
                return primary if self._flushing or isinstance(clause, Update | Delete) else replica

        self._kind = RoutedSession

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Work]:
        """Open a session and close it at the end."""
        is_async = isinstance(self.rows.engine, AsyncEngine)
        work = Work(AsyncSession(sync_session_class=self._kind) if is_async else self._kind())
        try:
            yield work
        finally:
            await work.close()

    async def change(self, change: Callable[[Session], object]) -> None:
        """Commit a change."""
        async with self.work() as work:
            await work.do(change)
            await work.commit()


@pytest.fixture
async def replicated(rows: Rows) -> AsyncIterator[Replicated]:
    """Route the sessions of a test."""
    if isinstance(rows.engine, AsyncEngine):
        reading: Engine | AsyncEngine = create_async_engine(rows.engine.url)
    else:
        reading = create_engine(rows.engine.url)
    event.listen(_plain(reading), "begin", _refuse_writes)
    yield Replicated(rows, reading)
    await (reading.dispose() if isinstance(reading, AsyncEngine) else asyncio.to_thread(reading.dispose))


def _plain(engine: Engine | AsyncEngine) -> Engine:
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


def _refuse_writes(connection: Connection) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql("PRAGMA query_only = ON" if is_sqlite else "SET TRANSACTION READ ONLY")


async def test_a_file_is_created_through_a_routed_session(replicated: Replicated) -> None:
    """A new row's file is stored, and its intent is written and settled where the row is."""
    await replicated.change(lambda session: session.add(Document(title="t", file=pending())))

    assert len(await replicated.rows.keys()) == 1
    assert await replicated.rows.intents("upload") <= await _reserved(replicated.rows)


async def test_a_file_is_replaced_through_a_routed_session(replicated: Replicated) -> None:
    """A row that came from the replica gives back the object that it held in the primary."""
    identity = await replicated.rows.add(title="t", file=pending(b"0"))
    await replicated.change(lambda session: setattr(session.get_one(Document, identity), "file", pending(b"1")))

    assert await replicated.rows.content(identity) == b"1"
    assert len(await replicated.rows.keys()) == 1


async def test_a_row_is_deleted_through_a_routed_session(replicated: Replicated) -> None:
    """A row that came from the replica takes its object along."""
    identity = await replicated.rows.add(title="t", file=pending())
    await replicated.change(lambda session: session.delete(session.get_one(Document, identity)))

    assert await replicated.rows.keys() == set()


async def test_bulk_statements_work_through_a_routed_session(replicated: Replicated) -> None:
    """What a bulk update replaces and a bulk delete takes along is read from the primary."""
    for title in ("a", "b", "c"):
        await replicated.rows.add(title=title, file=pending(title.encode()))
    await replicated.change(
        lambda session: session.execute(update(Document).where(Document.title == "a").values(file=pending(b"new")))
    )
    await replicated.change(lambda session: session.execute(delete(Document).where(Document.title == "b")))

    assert len(await replicated.rows.keys()) == 2


async def test_the_service_works_through_a_routed_session(replicated: Replicated) -> None:
    """The service, which stores bytes before it touches the session, keeps its intents in the primary."""
    async with replicated.work() as work:
        service = FileService(work.session, model=Document)
        row = await service.create({"title": "t", "file": pending(b"0")})
        identity = await work.do(lambda session: row.id)
        await work.commit()
        await service.replace(identity, pending(b"1"), field="file")
        await work.commit()
        await service.delete(identity)
        await work.commit()

    assert await replicated.rows.keys() == set()


async def _reserved(rows: Rows) -> set[str]:
    """Return the keys that are reserved for files to come: those of intents without an object."""
    return await rows.intents("upload") - await rows.keys()


def test_the_replica_is_one() -> None:
    """A replica of these tests refuses to be written, else the tests would say nothing."""
    engine = create_engine("sqlite://")
    event.listen(engine, "begin", _refuse_writes)

    with engine.begin() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER)")
