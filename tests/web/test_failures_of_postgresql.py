"""Whatever PostgreSQL fails with is a problem: 503 where a retry may help, else 500; its log names the cause alone."""

import asyncio
from secrets import token_hex

import psycopg
import pytest
from sqlalchemy import NullPool, event

from fastapi_filestore import (
    ObstoreBackend,
)
from tests.servers.postgres import Postgres
from tests.storage.relay import relayed
from tests.web.letters import DRIVERS, application, check_answer, check_log, database, upload

__all__ = ["database"]

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
