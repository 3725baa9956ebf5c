"""A database that is down or too busy: 503 with Retry-After, nothing left behind, and no SQL anywhere."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from fastapi_filestore import FileObject, Filestore, FilestoreSettings, ObstoreBackend, StoredObject, add_ledger
from tests.servers.process import LOOPBACK
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import problem_in, session_dependency

FILE = {"file": ("a.txt", b"content")}
SECRETS = ("INSERT", "SELECT", "hidden title", "down-password", "Traceback", "sqlalche.me")


class Base(DeclarativeBase):
    """Tables with a ledger, which is asked before bytes move."""


add_ledger(Base.metadata)


class Letter(Base):
    """A row with a file."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


@asynccontextmanager
async def application(sessions: Any) -> AsyncIterator[AsyncClient]:
    """Serve documents and letters with sessions of a database."""
    session = session_dependency(sessions, asynchronous=isinstance(sessions, async_sessionmaker))
    files, app = Filestore(session, settings=FilestoreSettings(_env_file=None)), FastAPI()
    app.include_router(files.router(Document), prefix="/documents")
    app.include_router(files.router(Letter), prefix="/letters")
    transport = ASGITransport(app=app)
    async with files.lifespan(app), AsyncClient(transport=transport, base_url="http://site") as client:
        yield client


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "psycopg_async"])
@pytest.mark.parametrize("path", ["/documents/", "/letters/"])
async def test_a_database_that_is_down_is_a_503(
    dead_port: int, driver: str, path: str, backend: ObstoreBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Every driver's way to say so is understood, before bytes move and after; the log has one line of it."""
    url = f"postgresql+{driver}://user:down-password@{LOOPBACK}:{dead_port}/down"
    sync = driver == "psycopg"
    sessions: Any = sessionmaker(create_engine(url)) if sync else async_sessionmaker(create_async_engine(url))
    async with application(sessions) as client:
        listed = await client.get(path)
        created = await client.post(path, files=FILE, data={"title": "hidden title"})

    for response in (listed, created):
        problem_in(response, 503, "database-unavailable")
        assert response.headers["retry-after"] == "5"
    assert [info async for info in backend.list()] == []
    assert "database" in caplog.text
    assert not any(secret in caplog.text + listed.text + created.text for secret in SECRETS)


async def test_a_database_that_is_locked_is_a_503(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who can't write because somebody else does may try again later, and no byte is left."""
    async with serve(f"sqlite+aiosqlite:///{tmp_path}/locked.db?timeout=0.1") as site:
        with closing(sqlite3.connect(tmp_path / "locked.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            response = await site.upload(title="hidden title")
        problem_in(response, 503, "database-unavailable")
        await site.check_empty()

    assert not any(secret in caplog.text for secret in SECRETS)


async def test_a_pool_without_a_connection_to_give_is_a_503(tmp_path: Path, backend: ObstoreBackend) -> None:
    """A request that waited for a connection in vain is told when to come back."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path}/pool.db", pool_size=1, max_overflow=0, pool_timeout=0.1
    )
    async with engine.connect(), application(async_sessionmaker(engine)) as client:
        problem_in(await client.get("/documents/"), 503, "database-unavailable")
    await engine.dispose()


async def test_a_missing_table_is_no_outage(serve: Serve, backend: ObstoreBackend, tmp_path: Path) -> None:
    """What will be just as wrong later is an error of the application."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
    async with application(async_sessionmaker(engine)) as client:
        response = await client.get("/documents/")
    problem_in(response, 500, "database-error")
    assert "retry-after" not in response.headers
    await engine.dispose()
