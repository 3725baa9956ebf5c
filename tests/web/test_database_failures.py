"""Whatever a database fails with is a problem: 503 where a retry may help, else 500; its log names the cause alone."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import NullPool, create_engine, event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from fastapi_filestore import (
    DatabaseFailedError,
    FileObject,
    Filestore,
    FilestoreError,
    FilestoreSettings,
    LedgerMissingError,
    ObstoreBackend,
    RowConflictError,
    StoredObject,
    add_ledger,
)
from fastapi_filestore.orm.failures.codes import NO_TABLE
from fastapi_filestore.orm.failures.outages import translated_error
from fastapi_filestore.orm.ledger.ledger import explain_missing
from tests.servers.postgres import Databases, Postgres
from tests.storage.relay import relayed
from tests.web.site import problem_in, session_dependency

FILE = {"file": ("a.txt", b"content")}
TITLE = "hidden title"
SECRETS = ("INSERT", "SELECT", TITLE, "Traceback", "sqlalche.me", "hidden")
DRIVERS = ("asyncpg", "psycopg_async", "psycopg")


class Base(DeclarativeBase):
    """Tables with a ledger."""


LEDGER = add_ledger(Base.metadata)


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


def _make_tables(connection: Any) -> None:
    Base.metadata.create_all(connection)
    Plain.metadata.create_all(connection)


@pytest.fixture
def database(postgres_databases: Databases) -> Postgres:
    """A database with the tables."""
    return postgres_databases.copy("failures", _make_tables)


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


TRIGGER = """
CREATE FUNCTION check_title() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no such title: %', NEW.title {code}; END $$;
CREATE TRIGGER check_title BEFORE INSERT ON letters FOR EACH ROW EXECUTE FUNCTION check_title()
"""
SLEEPING = TRIGGER.replace("RAISE EXCEPTION 'no such title: %', NEW.title {code}", "PERFORM pg_sleep(10)")
WRONG: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "statement timeout": (
        SLEEPING + ";ALTER DATABASE {name} SET statement_timeout = 100",
        503,
        ("57014", "statement_timeout"),
    ),
    "read-only": (
        "ALTER DATABASE {name} SET default_transaction_read_only = on",
        503,
        ("25006", "read-only", "primary"),
    ),
    "missing table": ("DROP TABLE letters", 500, ("42P01", 'relation \\"letters\\"', "migrations")),
    "missing column": ("ALTER TABLE letters DROP COLUMN title", 500, ("42703", "title", "migrations")),
    "schema ahead": (
        "ALTER TABLE letters ADD COLUMN priority integer NOT NULL",
        500,
        ("23502", 'column \\"priority\\"', "ahead", "migrations"),
    ),
    "exception of a trigger": (TRIGGER.format(code=""), 500, ("P0001", "trigger", "check_title() line 1")),
    "exception with a code": (
        TRIGGER.format(code="USING ERRCODE = '42501'"),
        500,
        ("42501", "trigger", "check_title() line 1"),
    ),
    "serialization failure": (TRIGGER.format(code="USING ERRCODE = '40001'"), 503, ("40001",)),
    "deadlock": (TRIGGER.format(code="USING ERRCODE = '40P01'"), 503, ("40P01",)),
    "disk full": (TRIGGER.format(code="USING ERRCODE = '53100'"), 503, ("53100",)),
    "no right": (
        (
            "CREATE ROLE nobody_{name} LOGIN PASSWORD 'p'; GRANT SELECT, INSERT, DELETE, UPDATE ON filestore_intents "
            "TO nobody_{name}; GRANT SELECT ON letters TO nobody_{name}"
        ),
        500,
        ("42501", "permission denied", "GRANT"),
    ),
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", WRONG)
async def test_failures_of_postgresql(
    database: Postgres, backend: ObstoreBackend, name: str, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each driver's way to say so is understood; nothing is left in the store."""
    statements, status, words = WRONG[name]
    with psycopg.connect(database.url("postgresql"), autocommit=True) as connection:
        connection.execute(statements.replace("{name}", database.database).encode())
    user = f"nobody_{database.database}:p@" if name == "no right" else None
    url = database.url(f"postgresql+{driver}")
    url = url.replace(f"{database.user}:{database.password}@", user) if user else url
    async with application(url) as client:
        response = await upload(client)
    if name == "disk full":  # what a trigger raises is the trigger's, whatever it is called
        status = 500
    check_answer(response, status, "database-read-only" if name == "read-only" else "database-unavailable")
    check_log(caplog, *words)
    assert [info async for info in backend.list()] == []


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{user}:{password}@", "{user}:wrong-password@", "password authentication failed"),
        ("/{database}", "/no_such_database", "no_such_database"),
    ],
)
async def test_connections_that_postgresql_refuses(
    database: Postgres,
    backend: ObstoreBackend,
    caplog: pytest.LogCaptureFixture,
    *,
    driver: str,
    old: str,
    new: str,
    words: str,
) -> None:
    """A changed password, or a database that is gone, is told as that, and the password is not."""
    parts = {"user": database.user, "password": database.password, "database": database.database}
    url = database.url(f"postgresql+{driver}").replace(old.format(**parts), new.format(**parts))
    async with application(url) as client:
        response = await client.get("/letters/")

    check_answer(response, 500)
    check_log(caplog, words)
    assert "wrong-password" not in caplog.text


@pytest.mark.parametrize("driver", DRIVERS)
async def test_too_many_connections(
    database: Postgres, backend: ObstoreBackend, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A database, or a role, that has as many connections as it may is told as that."""
    role = f"crowd_{token_hex(8)}"
    database.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'p' CONNECTION LIMIT 0")
    url = database.url(f"postgresql+{driver}").replace(f"{database.user}:{database.password}", f"{role}:p")
    async with application(url) as client:
        response = await client.get("/letters/")

    check_answer(response, 503)
    check_log(caplog, "too many connections", "pools")


@pytest.mark.parametrize("driver", DRIVERS)
async def test_connections_that_are_ended(
    database: Postgres, backend: ObstoreBackend, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that was broken off in the pool is told as that, and the next request has a new one."""
    async with application(database.url(f"postgresql+{driver}")) as client:
        assert (await upload(client)).status_code == 201
        with psycopg.connect(database.url("postgresql"), autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        response, following = await upload(client), await upload(client)

    check_answer(response, 503)
    check_log(caplog, "the connection was broken off", "the next request opens a new one")
    assert following.status_code == 201


async def test_a_database_that_accepts_no_connections(
    database: Postgres, backend: ObstoreBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that is closed to connections is told as that, and how it is opened."""
    async with application(database.url("postgresql+asyncpg"), poolclass=NullPool) as client:
        with psycopg.connect(
            database.url("postgresql").replace(f"/{database.database}", "/postgres"), autocommit=True
        ) as other:
            other.execute(f"ALTER DATABASE {database.database} ALLOW_CONNECTIONS false".encode())
            response = await client.get("/letters/")
            other.execute(f"ALTER DATABASE {database.database} ALLOW_CONNECTIONS true".encode())

    check_answer(response, 503)
    check_log(caplog, "55000", "not currently accepting connections", "ALLOW_CONNECTIONS true")


async def test_a_database_that_hangs(
    database: Postgres, backend: ObstoreBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """With the driver's limits all have an answer soon, though many stand in line, and the log says which database."""
    attempts = list[object]()
    async with relayed(database.url("postgresql")) as relay:
        url = database.url("postgresql+asyncpg").replace(
            f":{database.port}", relay.endpoint.removeprefix("http://127.0.0.1")
        )
        async with application(url, connect_args={"timeout": 1, "command_timeout": 1}) as client:
            assert (await upload(client)).status_code == 201
            event.listen(client.engine.sync_engine, "do_connect", lambda *_: attempts.append(_))
            relay.talks.clear()
            responses = await asyncio.gather(client.get("/letters/"), *(upload(client) for _ in range(8)))
            relay.talks.set()
            assert (await upload(client)).status_code == 201

    for response in responses:
        check_answer(response, 503)
    assert len(attempts) < len(responses) - 1  # who has waited all through an attempt makes none
    told = [record.message for record in caplog.records if record.message.startswith("fastapi_filestore.problem")]
    assert len(told) == len(responses)
    place = url.partition("@")[2]
    for words in ("did not answer in time", "docs/processes.md", f"postgresql+asyncpg://{place})"):
        assert [line for line in told if words not in line] == []
    assert database.password not in caplog.text


async def test_a_transaction_that_waits_for_a_lock(
    database: Postgres, backend: ObstoreBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Who waited for a lock in vain may try again."""
    url = database.url("postgresql+asyncpg")
    async with application(url, connect_args={"server_settings": {"lock_timeout": "100"}}) as client:
        with psycopg.connect(database.url("postgresql")) as other:
            other.execute("LOCK TABLE letters")
            response = await upload(client)

    check_answer(response, 503)
    check_log(caplog, "55P03")


@pytest.mark.parametrize("driver", ["aiosqlite", "pysqlite"])
@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ("DROP TABLE letters", ("no such table: letters", "migrations")),
        ("ALTER TABLE letters DROP COLUMN title", ("SQLITE_ERROR", "title", "migrations")),
        (
            "DROP TABLE letters; CREATE TABLE letters (id INTEGER PRIMARY KEY, title, file, priority NOT NULL)",
            ("SQLITE_CONSTRAINT_NOTNULL", "letters.priority", "ahead", "migrations"),
        ),
        (
            "CREATE TRIGGER no BEFORE INSERT ON letters BEGIN SELECT RAISE(ABORT, 'hidden words'); END",
            ("SQLITE_CONSTRAINT_TRIGGER", "trigger"),
        ),
    ],
)
async def test_failures_of_sqlite(
    tmp_path: Path,
    backend: ObstoreBackend,
    caplog: pytest.LogCaptureFixture,
    *,
    driver: str,
    statements: str,
    words: tuple[str, ...],
) -> None:
    """SQLite's few codes are told apart by their names and its words."""
    path = _sqlite(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)
    async with application(f"sqlite+{driver}:///{path}") as client:
        response = await upload(client)

    check_answer(response, 500)
    check_log(caplog, *words)
    assert [info async for info in backend.list()] == []


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("INSERT INTO t (a, b) VALUES (1, NULL)", RowConflictError),
        ("INSERT INTO t (a) VALUES (1)", DatabaseFailedError),
    ],
)
def test_a_column_without_a_value(statement: str, kind: type[FilestoreError]) -> None:
    """A value that the application writes is the client's to send; one that it never writes is the operators'."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (a, b NOT NULL)"))
        with pytest.raises(IntegrityError) as caught:
            connection.execute(text(statement))
    engine.dispose()

    assert type(translated_error(caught.value)) is kind


@pytest.mark.parametrize(
    ("pragma", "kind", "words"),
    [
        ("PRAGMA max_page_count = 1", "database-full", ("SQLITE_FULL", "disk is full")),
        ("PRAGMA query_only = on", "database-read-only", ("SQLITE_READONLY", "read-only")),
    ],
)
async def test_a_database_file_that_takes_nothing(
    tmp_path: Path,
    backend: ObstoreBackend,
    caplog: pytest.LogCaptureFixture,
    *,
    pragma: str,
    kind: str,
    words: tuple[str, ...],
) -> None:
    """A full disk, and a file that can't be written, are told as that, to clients as well, who may come back."""
    path = _sqlite(tmp_path)
    async with application(f"sqlite+aiosqlite:///{path}", poolclass=NullPool) as client:

        @event.listens_for(client.engine.sync_engine, "connect")
        def limit(connection: Any, _: object) -> None:
            connection.execute(pragma)

        response = await client.post("/letters/", files=FILE, data={"title": TITLE + "x" * 50_000})

    check_answer(response, 503, kind)
    assert "can be read" in response.json()["detail"]
    check_log(caplog, *words, str(path))


def _sqlite(folder: Path) -> Path:
    engine = create_engine(f"sqlite:///{folder}/failures.db")
    _make_tables(engine)
    engine.dispose()
    return folder / "failures.db"


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_a_pool_without_a_connection(
    tmp_path: Path, backend: ObstoreBackend, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The router's statements, and the ledger's beside them, wait for a connection only so long."""
    url = f"sqlite+aiosqlite:///{_sqlite(tmp_path)}"
    async with application(url, pool_size=1, max_overflow=0, pool_timeout=0.1) as client, client.engine.connect():
        response = await (upload(client) if method == "POST" else client.request(method, "/letters/1"))

    check_answer(response, 503)
    check_log(caplog, "pool_size")


# -- the ledger ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_ledger_that_was_never_migrated(
    tmp_path: Path, backend: ObstoreBackend, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A missing table of the ledger is told by its name and what to do; a client hears that it is no fault of its."""
    path = _sqlite(tmp_path)
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
        url = f"{driver}:///{_sqlite(tmp_path)}"
        engine = create_engine(url.replace("+aiosqlite", ""))
    else:
        database = postgres_databases.copy("failures", _make_tables)
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


# -- the session dependency of the application -----------------------------------------------------------


async def test_a_session_dependency_that_fails_before(
    tmp_path: Path, backend: ObstoreBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """What the application's own dependency asks its database is explained as well, under our routes."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{_sqlite(tmp_path)}")

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
    engine = create_async_engine(f"sqlite+aiosqlite:///{_sqlite(tmp_path)}")

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
