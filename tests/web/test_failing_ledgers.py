"""Tables that were never migrated, and sessions that fail before and after a route, are told by what is missing."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from fastapi_filestore import (
    DatabaseFailedError,
    LedgerMissingError,
    ObstoreBackend,
    add_ledger,
)
from fastapi_filestore.orm.failures.codes import NO_TABLE
from fastapi_filestore.orm.ledger.ledger import explain_missing
from tests.servers.postgres import Databases
from tests.web.letters import DRIVERS, Base, application, check_answer, check_log, database, make_tables, sqlite, upload
from tests.web.site import problem_in

__all__ = ["database"]

LEDGER = add_ledger(Base.metadata)


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_a_pool_without_a_connection(
    tmp_path: Path, backend: ObstoreBackend, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The router's statements, and the ledger's beside them, wait for a connection only so long."""
    url = f"sqlite+aiosqlite:///{sqlite(tmp_path)}"
    async with application(url, pool_size=1, max_overflow=0, pool_timeout=0.1) as client, client.engine.connect():
        response = await (upload(client) if method == "POST" else client.request(method, "/letters/1"))

    check_answer(response, 503)
    check_log(caplog, "pool_size")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_ledger_that_was_never_migrated(
    tmp_path: Path, backend: ObstoreBackend, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A missing table of the ledger is told by its name and what to do; a client hears that it is no fault of its."""
    path = sqlite(tmp_path)
    async with application(f"sqlite+aiosqlite:///{path}") as client:
        created = await upload(client)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE filestore_intents")
        location = created.headers["location"]
        while (response := await (upload(client) if method == "POST" else client.delete(location))).status_code == 201:
            pass

    problem_in(response, 500, "ledger-missing")
    assert "filestore_intents" not in response.text
    check_log(caplog, "filestore_intents", "Alembic")


@pytest.mark.parametrize("driver", ["sqlite+aiosqlite", *(f"postgresql+{driver}" for driver in DRIVERS)])
async def test_a_ledger_that_lacks_a_column(
    postgres_databases: Databases,
    tmp_path: Path,
    backend: ObstoreBackend,
    driver: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A ledger of an older version is told by its table, the column that is missing, and what brings it up to date."""
    if "sqlite" in driver:
        url = f"{driver}:///{sqlite(tmp_path)}"
        engine = create_engine(url.replace("+aiosqlite", ""))
    else:
        database = postgres_databases.copy("failures", make_tables)
        url, engine = database.url(driver), create_engine(database.url("postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE filestore_intents DROP COLUMN attempts"))
    engine.dispose()
    async with application(url) as client:
        response = await upload(client)

    problem_in(response, 500, "ledger-missing")
    check_log(caplog, "The ledger's table 'filestore_intents' lacks the column 'attempts'", "alembic upgrade head")


@pytest.mark.parametrize(
    ("words", "table", "column"),
    [
        ("no such table: filestore_intents", "filestore_intents", None),
        ("no such table: app.filestore_intents", "filestore_intents", None),
        ('relation "filestore_intents" does not exist', "filestore_intents", None),
        ("Relation »filestore_intents« existiert nicht", "filestore_intents", None),
        ("Table 'app.filestore_intents' doesn't exist", "filestore_intents", None),
        ("no such column: filestore_intents.attempts", "filestore_intents", "attempts"),
        ("column filestore_intents.path does not exist", "filestore_intents", "path"),
        ("column app.filestore_intents.path does not exist", "filestore_intents", "path"),
        ('column "kind" of relation "filestore_intents" does not exist', "filestore_intents", "kind"),
        ("table filestore_intents has no column named error", "filestore_intents", "error"),
        ("no such table: filestore_intents_archive", None, None),
        ('relation "old_filestore_intents" does not exist', None, None),
        ('relation "filestore_intents.letters" does not exist', None, None),
        ('column "path" of relation "letters" does not exist', None, None),
        ("no such column: letters.path", None, None),
        ("no such column: letters.filestore_intents_id", None, None),
        ("no such function: filestore_intents_now", None, None),
    ],
)
def test_whose_table_is_missing(words: str, table: str | None, column: str | None) -> None:
    """The ledger is blamed for its own table and columns alone, whatever language a database speaks."""
    error = DatabaseFailedError(f"{NO_TABLE.sentence}: {NO_TABLE.remedy} (42P01 UndefinedTable: {words})")
    told = list[LedgerMissingError]()
    try:
        explain_missing(error, LEDGER)
    except LedgerMissingError as missing:
        told.append(missing)

    assert [(each.table, each.column) for each in told] == ([(table, column)] if table else [])


async def test_a_session_dependency_that_fails_before(
    tmp_path: Path, backend: ObstoreBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """What the application's own dependency asks its database is explained as well, under our routes."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite(tmp_path)}")

    async def get_session() -> AsyncIterator[Any]:
        async with async_sessionmaker(engine)() as session:
            await session.execute(text("SELECT hidden FROM tenants"))
            yield session

    async with application(f"sqlite+aiosqlite:///{tmp_path}/failures.db", get_session) as client:
        response = await client.get("/letters/")
    await engine.dispose()

    check_answer(response, 500)
    check_log(caplog, "no such table: tenants")


async def test_a_session_dependency_that_fails_afterwards(
    tmp_path: Path, backend: ObstoreBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """What fails once the answer is out is told to operators, and the answer stays."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite(tmp_path)}")

    async def get_session() -> AsyncIterator[Any]:
        async with async_sessionmaker(engine)() as session:
            yield session
            await session.execute(text("INSERT INTO visits VALUES ('hidden')"))
            await session.commit()

    async with application(f"sqlite+aiosqlite:///{tmp_path}/failures.db", get_session) as client:
        response = await upload(client)
    await engine.dispose()

    assert response.status_code == 201
    check_log(caplog, "no such table: visits")
