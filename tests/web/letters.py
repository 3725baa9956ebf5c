"""Letters and notes, served with sessions of a database that is to fail."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from fastapi_filestore import (
    FileObject,
    Filestore,
    FilestoreSettings,
    StoredObject,
)
from tests.servers.postgres import Databases, Postgres
from tests.web.site import problem_in, session_dependency

FILE = {"file": ("a.txt", b"content")}


TITLE = "hidden title"


SECRETS = ("INSERT", "SELECT", TITLE, "Traceback", "sqlalche.me", "hidden")


DRIVERS = ("asyncpg", "psycopg_async", "psycopg")


class Base(DeclarativeBase):
    """Tables with a ledger."""


class Letter(Base):
    """A row with a file."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


class Plain(DeclarativeBase):
    """Tables without one."""


class Note(Plain):
    """A row with a file."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


def make_tables(connection: Any) -> None:
    """Make the tables, with a ledger and without."""
    Base.metadata.create_all(connection)
    Plain.metadata.create_all(connection)


@pytest.fixture
def database(postgres_databases: Databases) -> Postgres:
    """A database with the tables."""
    return postgres_databases.copy("failures", make_tables)


@asynccontextmanager
async def application(url: str, get_session: Callable[..., Any] | None = None, **options: Any) -> AsyncIterator[Any]:
    """Serve letters and notes with sessions of a database."""
    asynchronous = "asyncpg" in url or "_async" in url or "aiosqlite" in url
    make: Any = create_async_engine if asynchronous else create_engine
    engine = make(url, **options)
    sessions: Any = (async_sessionmaker if asynchronous else sessionmaker)(engine)
    files = Filestore(
        get_session or session_dependency(sessions, asynchronous=asynchronous),
        settings=FilestoreSettings(_env_file=None),
    )
    app = FastAPI()
    app.include_router(files.router(Letter), prefix="/letters")
    app.include_router(files.router(Note), prefix="/notes")
    transport = ASGITransport(app=app)
    async with files.lifespan(app), AsyncClient(transport=transport, base_url="http://site") as client:
        client.engine = engine  # type: ignore[attr-defined]
        yield client
    await engine.dispose() if isinstance(engine, AsyncEngine) else engine.dispose()


async def upload(client: AsyncClient, path: str = "/letters/") -> Response:
    """Send a file with a title."""
    return await client.post(path, files=FILE, data={"title": TITLE})


def check_log(caplog: pytest.LogCaptureFixture, *words: str) -> None:
    """Assert that the log tells the cause in one line, and neither statement nor values."""
    told = [record for record in caplog.records if record.message.startswith("fastapi_filestore.problem")]
    assert told, caplog.text
    assert all(word in caplog.text for word in words), caplog.text
    assert not any(secret in caplog.text for secret in SECRETS), caplog.text


def check_answer(response: Response, status: int, kind: str = "database-unavailable") -> None:
    """Assert that a response says what a client may know."""
    problem_in(response, status, kind if status == 503 else "database-error")
    assert ("retry-after" in response.headers) is (status == 503)
    assert not any(word in response.text for word in (*SECRETS, "letters", "psycopg", "asyncpg", "check_title"))


def sqlite(folder: Path) -> Path:
    """Return the URL of a database in a folder."""
    engine = create_engine(f"sqlite:///{folder}/failures.db")
    make_tables(engine)
    engine.dispose()
    return folder / "failures.db"
