"""A whole application for a test: its database, its store, a client, and the look at what is left behind."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import create_engine, func, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import StaticPool

from fastapi_filestore import Filestore, FilestoreSettings, StorageBackend
from fastapi_filestore.testing import assert_no_orphans
from tests.compiled import compiled_for
from tests.web.models import FILED, HOLDING, Base, Document

PROBLEM = "application/problem+json"
SIGNING_KEY = "a-signing-key-that-is-long-enough-for-all"
Build = Callable[[FastAPI, Filestore], None]


@dataclass
class Site:
    """A running application and what is behind it."""

    app: FastAPI
    files: Filestore
    client: AsyncClient
    sessions: Any
    backend: StorageBackend

    async def upload(self, url: str = "/documents/", content: bytes = b"content", **fields: Any) -> Response:
        """Post a file with a title."""
        name, kind = fields.pop("filename", "a.txt"), fields.pop("content_type", "text/plain")
        field = fields.pop("field", "file")
        return await self.client.post(url, files={field: (name, content, kind)}, data={"title": "t"} | fields)

    async def keys(self) -> set[str]:
        """Return the keys of the objects in the store."""
        return {info.path async for info in self.backend.list()}

    async def rows(self, model: type[Any] = Document) -> int:
        """Return the number of rows of a model."""
        async with self.session() as session:
            statement = select(func.count()).select_from(model)
            found = session.scalar(statement)
            return int(await found if asyncio.iscoroutine(found) else found)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """Open a session of one's own."""
        session = self.sessions()
        try:
            yield session
        finally:
            closing = session.close()
            if asyncio.iscoroutine(closing):
                await closing

    async def check(self) -> None:
        """Assert that rows and objects agree."""
        async with self.session() as session:
            await assert_no_orphans(session, self.backend, *HOLDING)

    async def check_empty(self) -> None:
        """Assert that neither a row nor an object is left."""
        await self.check()

        assert await self.keys() == set()
        assert [model.__name__ for model in FILED if await self.rows(model)] == []


def documents(app: FastAPI, files: Filestore) -> None:
    """Mount the documents as most tests want them."""
    app.include_router(files.router(Document), prefix="/documents")


@asynccontextmanager
async def open_site(
    backend: StorageBackend,
    url: str,
    *,
    build: Build = documents,
    session: Mapping[str, Any] | None = None,
    shared: bool = False,
    **settings: Any,
) -> AsyncIterator[Site]:
    """Run an application on a database whose URL says whether its sessions are asynchronous.

    One of PostgreSQL has its tables already. A shared application is built once, and runs on one database after the
    other: for tests that do not change it, of which most would take longer to build it than to use it.
    """
    if url.startswith("sqlite"):
        await asyncio.to_thread(_make_tables, Path(make_url(url).database or ""))
    asynchronous = "+a" in url
    sessions, end = await (_async_sessions if asynchronous else _sync_sessions)(url, dict(session or {}))
    built = _shared(build, asynchronous, json.dumps(settings)) if shared else Built(build, asynchronous, settings)
    built.sessions, app, files = sessions, built.app, built.files
    try:
        async with files.lifespan(app), AsyncClient(transport=ASGITransport(app=app), base_url="http://site") as client:
            yield Site(app, files, client, sessions, backend)
    finally:
        await end()


class Built:
    """An application with its file store, and what makes the sessions of both."""

    sessions: Any

    def __init__(self, build: Build, asynchronous: bool, settings: Mapping[str, Any]) -> None:
        session = session_dependency(self.session, asynchronous=asynchronous)
        self.files = Filestore(session, settings=FilestoreSettings(_env_file=None, **settings))
        self.app = FastAPI()
        build(self.app, self.files)

    def session(self) -> Any:
        """Open a session on the database of now."""
        return self.sessions()


@cache
def _shared(build: Build, asynchronous: bool, settings: str) -> Built:
    return Built(build, asynchronous, json.loads(settings))


def session_dependency(make: Callable[[], Any], *, asynchronous: bool) -> Callable[..., Any]:
    """Return the session dependency that a user would write for what makes sessions."""

    async def get_async_session() -> AsyncIterator[AsyncSession]:
        async with make() as session:
            yield session

    def get_session() -> Any:
        with make() as session:
            yield session

    return get_async_session if asynchronous else get_session


@cache
def _tables() -> bytes:
    """Return an SQLite database with the suite's tables: made once, since making them is most of a test's time."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        Base.metadata.create_all(connection)
        connection.commit()
        database: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        content = database.serialize()
    engine.dispose()
    return content


def _make_tables(path: Path) -> None:
    if not path.exists():
        path.write_bytes(_tables())


async def _async_sessions(url: str, options: dict[str, Any]) -> tuple[Any, Any]:
    engine = create_async_engine(url, execution_options=compiled_for(url))
    return async_sessionmaker(engine, class_=AsyncSession, **options), engine.dispose


async def _sync_sessions(url: str, options: dict[str, Any]) -> tuple[Any, Any]:
    connect = {"check_same_thread": False} if url.startswith("sqlite") else {}
    engine = create_engine(url, connect_args=connect, execution_options=compiled_for(url))

    async def end() -> None:
        await asyncio.to_thread(engine.dispose)

    return sessionmaker(engine, class_=Session, **options), end


def problem_in(response: Response, status: int, name: str) -> dict[str, Any]:
    """Return the problem in a response, which must be of this status and kind and tell nothing internal."""
    assert (response.status_code, response.headers["content-type"]) == (status, PROBLEM), response.text
    assert response.headers["cache-control"] == "no-store"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:fastapi-filestore:{name}"
    assert body["status"] == status
    assert {"title", "detail"} <= body.keys()
    for secret in (gettempdir(), "SELECT", "INSERT", "sqlite", "asyncpg", "psycopg", "Traceback", "'web'", "memory://"):
        assert secret not in response.text
    return body
