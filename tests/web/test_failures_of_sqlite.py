"""Whatever SQLite fails with is a problem: 503 where a retry may help, else 500; its log names the cause alone."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, event, text
from sqlalchemy.exc import IntegrityError

from fastapi_filestore import (
    DatabaseFailedError,
    FilestoreError,
    ObstoreBackend,
    RowConflictError,
)
from fastapi_filestore.orm.failures.translate import translate_error
from tests.web.letters import FILE, TITLE, application, check_answer, check_log, database, sqlite, upload

__all__ = ["database"]


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
    path = sqlite(tmp_path)
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

    assert type(translate_error(caught.value)) is kind


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
    path = sqlite(tmp_path)
    async with application(f"sqlite+aiosqlite:///{path}", poolclass=NullPool) as client:

        @event.listens_for(client.engine.sync_engine, "connect")
        def limit(connection: Any, _: object) -> None:
            connection.execute(pragma)

        response = await client.post("/letters/", files=FILE, data={"title": TITLE + "x" * 50_000})

    check_answer(response, 503, kind)
    assert "can be read" in response.json()["detail"]
    check_log(caplog, *words, str(path))
