"""Files of rows that a view shows, or a table of another database: who is asked, and how often a row is counted."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import FileObject, ObstoreBackend, SharedFileError, StoredObject, add_ledger
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.holders.holders import places_holding
from fastapi_filestore.orm.holders.views import views_among
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.service.sweep.sweep import sweep
from tests.rows.conftest import begin_sqlite_properly, pending
from tests.servers.postgres import Databases

PATH = "ab/ab" + "0" * 30
FILE = json.dumps({"backend": "rows", "path": PATH, "filename": "a.txt"})
AT = ("rows", PATH)


class Base(DeclarativeBase):
    """The tables of this file."""


LEDGER = add_ledger(Base.metadata, name="intents_of_views", keep_deleted=3600)


class Letter(Base):
    """A row of a table."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Old(Base):
    """A row of what only looks like a table."""

    __tablename__ = "old_letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


def described(name: str, *files: str, lists: bool = False) -> Table:
    """Describe a table, or a view, of some columns with files."""
    columns: Iterator[Column[Any]] = (Column(file, StoredObject("rows", multiple=lists)) for file in files or ("file",))
    return Table(name, MetaData(), Column("id", Integer, primary_key=True), *columns)


def make_tables(bind: Engine | Connection) -> None:
    """Make the tables, but for the one that is none."""
    Base.metadata.create_all(bind, tables=[Base.metadata.tables["letters"], LEDGER.table])


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> Iterator[Engine]:
    """A database with the tables, but for the one that is none."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
        begin_sqlite_properly(engine)
        make_tables(engine)
    else:
        databases: Databases = request.getfixturevalue("postgres_databases")
        engine = create_engine(databases.copy("views", make_tables).url("postgresql+psycopg"))
    yield engine
    run_blocking(release_reservations())
    engine.dispose()


def run(engine: Engine, *statements: str) -> None:
    """Execute SQL: `JSON` is the type of the column, and `:file` the file."""
    kind = "JSONB" if engine.dialect.name == "postgresql" else "JSON"
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("JSON", kind).replace(":file", f"'{FILE}'"))


def count(engine: Engine, *tables: Table) -> int:
    """Return in how many places some tables hold the object."""
    with engine.begin() as connection:
        return places_holding(connection, tables, [AT])[AT]


LETTERS = [
    "CREATE TABLE docs (id INTEGER PRIMARY KEY, file JSON, tenant INTEGER)",
    "INSERT INTO docs VALUES (1, :file, 1)",
]
TWO = [*LETTERS, "INSERT INTO docs VALUES (2, :file, 2)"]
TENANTS = [f"CREATE VIEW docs_{n} AS SELECT id, file FROM docs WHERE tenant = {n}" for n in (1, 2)]
PEOPLE = [
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, face JSON)",
    "INSERT INTO people VALUES (1, 'Ann', :file)",
]
JOINED = "CREATE VIEW named AS SELECT docs.id, docs.file, people.name FROM docs JOIN people ON people.id = docs.id"
CASES: dict[str, tuple[list[str], list[Table], int]] = {
    "a view alone": ([*TWO, TENANTS[0]], [described("docs_1")], 2),
    "a view beside its table": ([*TWO, *TENANTS], [described("docs"), described("docs_1")], 2),
    "two views of one table": ([*TWO, *TENANTS], [described("docs_1"), described("docs_2")], 2),
    "a view of a view": (
        [*LETTERS, TENANTS[0], "CREATE VIEW again AS SELECT id, file FROM docs_1"],
        [described("again")],
        1,
    ),
    "a view that joins a table with files": (
        [*LETTERS, *PEOPLE, JOINED],
        [described("people", "face"), described("named")],
        2,
    ),
    "a view that joins rows many times": (
        [
            *LETTERS,
            "CREATE VIEW thrice AS SELECT n AS id, file FROM docs JOIN (SELECT 1 AS n UNION SELECT 2) AS ns ON n > 0",
        ],
        [described("docs"), described("thrice")],
        1,
    ),
    "a view of two tables": (
        [*LETTERS, *PEOPLE, "CREATE VIEW all_files AS SELECT id, file FROM docs UNION ALL SELECT id, face FROM people"],
        [described("docs"), described("all_files")],
        2,
    ),
    "a view with another name for the column": (
        [*PEOPLE, "CREATE VIEW faces AS SELECT id, face AS file FROM people"],
        [described("faces")],
        1,
    ),
    "a view whose table is asked for another column": (
        [*PEOPLE, "ALTER TABLE people ADD photo JSON", "CREATE VIEW faces AS SELECT id, face, photo FROM people"],
        [described("people", "photo"), described("faces", "face")],
        1,
    ),
    "a view that makes its files": (
        ["CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT)", f"INSERT INTO names VALUES (1, '{PATH}')"],
        [described("made")],
        1,
    ),
    "a view of lists": (
        [
            "CREATE TABLE albums (id INTEGER PRIMARY KEY, file JSON)",
            f"INSERT INTO albums VALUES (1, '[{FILE},{FILE}]'), (2, '[{FILE}]')",
            "CREATE VIEW shown AS SELECT id, file FROM albums",
        ],
        [described("shown", lists=True)],
        2,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_row_is_counted_once(engine: Engine, case: str) -> None:
    """Rows that views show hold their files, whichever of the tables and the views are mapped."""
    statements, tables, places = CASES[case]
    run(engine, *statements)
    if case == "a view that makes its files":
        build = "jsonb_build_object" if engine.dialect.name == "postgresql" else "json_object"
        run(engine, f"CREATE VIEW made AS SELECT id, {build}('backend', 'rows', 'path', name) AS file FROM names")

    assert count(engine, *tables) == count(engine, *reversed(tables)) == places


@pytest.mark.parametrize("kind", ["view", "table", "column"])
def test_what_a_migration_makes_is_asked(engine: Engine, kind: str) -> None:
    """Code that is deployed before the migration asks what the migration brings."""
    table = described("docs", "file", "photo")
    make = ["CREATE TABLE docs (id INTEGER PRIMARY KEY, file JSON)"]
    bring = {
        "column": ["ALTER TABLE docs ADD photo JSON", "INSERT INTO docs VALUES (1, NULL, :file)"],
        "table": [
            "CREATE TABLE docs (id INTEGER PRIMARY KEY, file JSON, photo JSON)",
            "INSERT INTO docs VALUES (1, NULL, :file)",
        ],
        "view": [
            "CREATE TABLE docs_2025 (id INTEGER PRIMARY KEY, file JSON, photo JSON)",
            "INSERT INTO docs_2025 VALUES (1, NULL, :file)",
            "CREATE VIEW docs AS SELECT * FROM docs_2025",
        ],
    }
    run(engine, *(make if kind == "column" else []))
    assert count(engine, table) == 0
    run(engine, *bring[kind])

    assert count(engine, table) == 1


def test_a_table_that_becomes_a_view(engine: Engine) -> None:
    """A migration renames a table and leaves a view of the old name: the rows are still counted once."""
    tables = [described("docs"), described("docs_2025")]
    run(engine, *LETTERS)
    assert count(engine, *tables) == 1
    run(engine, "ALTER TABLE docs RENAME TO docs_2025", "CREATE VIEW docs AS SELECT * FROM docs_2025")

    assert count(engine, *tables) == 1


def test_a_view_that_comes_to_show_another_table(engine: Engine) -> None:
    """What a view reads is looked for each time."""
    run(engine, *LETTERS, "CREATE TABLE new (id INTEGER PRIMARY KEY, file JSON)", TENANTS[0])
    assert count(engine, described("docs_1")) == 1
    run(
        engine,
        "DROP VIEW docs_1",
        "CREATE VIEW docs_1 AS SELECT id, file FROM new",
        "INSERT INTO new VALUES (1, :file), (2, :file)",
    )

    assert count(engine, described("docs_1")) == 2


@pytest.mark.parametrize(
    "change", [["ALTER TABLE docs DROP file"], ["DROP TABLE docs"], ["DROP VIEW shown", "DROP TABLE docs"]]
)
def test_what_a_migration_takes_is_missed_once(engine: Engine, change: list[str]) -> None:
    """A column or a table that goes makes one question fail, at most."""
    tables = [described("docs")]
    run(engine, *LETTERS, *PEOPLE)
    if len(change) > 1:
        run(engine, "CREATE VIEW shown AS SELECT id, file FROM docs")
        tables = [described("shown")]
    tables.append(described("people", "face"))
    assert count(engine, *tables) == 2
    run(engine, *change)
    with suppress(DBAPIError):
        count(engine, *tables)

    assert count(engine, *tables) == 1


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_view_whose_table_is_gone(engine: Engine) -> None:
    """SQLite keeps a view of a table that was dropped: it shows no row."""
    run(engine, *LETTERS, *PEOPLE, TENANTS[0], "DROP TABLE docs")

    assert count(engine, described("docs_1"), described("people", "face")) == 1


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("options", ["", "WITHOUT ROWID"])
def test_a_view_that_an_index_serves(engine: Engine, options: str) -> None:
    """SQLite may read a view's columns from an index, whose columns have an order of their own."""
    run(
        engine,
        f"CREATE TABLE docs (tenant INTEGER, other JSON, id TEXT PRIMARY KEY, file JSON) {options}",
        "CREATE INDEX of_file ON docs (tenant, file)",
        "INSERT INTO docs VALUES (1, NULL, 'x', :file)",
        "CREATE VIEW shown AS SELECT id, file FROM docs WHERE tenant = 1",
    )
    with engine.begin() as connection:
        view = views_among(connection, {(None, "shown"): ["file"]})[None, "shown"]

    assert {source.column for source in view.sources} == {"file"}
    assert count(engine, described("shown")) == 1


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
@pytest.mark.parametrize("kind", ["table", "view", "materialized"])
def test_rows_of_another_database(engine: Engine, kind: str) -> None:
    """A foreign table is asked, and what shows it."""
    url, wrapper = engine.url, "FOREIGN DATA WRAPPER postgres_fdw"
    host = f"OPTIONS (host '{url.host}', port '{url.port}', dbname '{url.database}')"
    run(engine, *LETTERS, "CREATE EXTENSION postgres_fdw")
    run(
        engine,
        f"CREATE SERVER far {wrapper} {host}",
        f"CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user '{url.username}', password '{url.password}')",
        "CREATE FOREIGN TABLE far_docs (id INTEGER, file JSON) SERVER far OPTIONS (table_name 'docs')",
        "CREATE VIEW far_view AS SELECT * FROM far_docs",
        "CREATE MATERIALIZED VIEW far_materialized AS SELECT * FROM far_docs",
    )
    table = described("far_docs" if kind == "table" else f"far_{kind}")

    assert count(engine, table) == count(engine, table, described("far_docs")) == 1


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
@pytest.mark.parametrize("guard", ["privileges", "policy"])
def test_a_view_of_rows_that_may_not_be_read(engine: Engine, guard: str) -> None:
    """Where only the view may be read, it is asked itself."""
    run(engine, *TWO, "CREATE VIEW shown AS SELECT id, file FROM docs", f"CREATE ROLE reader_{guard}")
    run(engine, f"GRANT SELECT ON shown TO reader_{guard}")
    if guard == "policy":
        run(engine, f"GRANT SELECT ON docs TO reader_{guard}", "ALTER TABLE docs ENABLE ROW LEVEL SECURITY")
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL ROLE reader_{guard}"))
        places = places_holding(connection, [described("shown")], [AT])[AT]
    run(engine, f"DROP OWNED BY reader_{guard}", f"DROP ROLE reader_{guard}")

    assert places == 2


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_view_that_nobody_lets_the_role_read(engine: Engine) -> None:
    """A report for somebody else is passed over; the tables that are asked besides are asked."""
    run(engine, *LETTERS, "CREATE TABLE secrets (file JSON)", "CREATE VIEW shown AS SELECT 1 AS id, file FROM secrets")
    run(engine, "CREATE ROLE stranger", "GRANT SELECT ON docs TO stranger")
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL ROLE stranger"))
        held = places_holding(connection, [described("docs"), described("shown")], [AT])[AT]
    run(engine, "DROP OWNED BY stranger", "DROP ROLE stranger")

    assert held == 1


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_view_of_a_part_of_a_table(engine: Engine) -> None:
    """The rows of a partition are rows of the whole table, which is asked."""
    run(
        engine,
        "CREATE TABLE docs (id INTEGER, file JSON) PARTITION BY LIST (id)",
        "CREATE TABLE docs_of_1 PARTITION OF docs FOR VALUES IN (1)",
        "INSERT INTO docs VALUES (1, :file)",
        "CREATE VIEW shown AS SELECT * FROM docs_of_1",
    )

    assert count(engine, described("docs"), described("shown")) == count(engine, described("shown")) == 1


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_view_in_the_place_of_a_table_that_was_renamed(engine: Engine, backend: ObstoreBackend) -> None:
    """Only the view is mapped: what its rows hold is in no second row, and outlives the sweep of an old intent."""
    run(
        engine,
        "CREATE TABLE letters_2025 (id SERIAL PRIMARY KEY, file JSON)",
        "CREATE VIEW old_letters AS SELECT * FROM letters_2025",
    )
    with Session(engine) as session:
        session.add(Old(id=1, file=pending(b"old")))
        session.commit()
        old = session.get_one(Old, 1)
        assert old.file is not None
        for second in (
            Letter(file=FileObject("rows", path=old.file.path)),
            Old(id=2, file=FileObject("rows", path=old.file.path)),
        ):
            session.add(second)
            with pytest.raises(SharedFileError):
                session.commit()
            session.rollback()
        record = session.execute(text("SELECT file::text FROM old_letters")).scalar_one()
        session.delete(session.get_one(Old, 1))
        session.commit()
        session.execute(text("INSERT INTO old_letters (id, file) VALUES (1, CAST(:file AS jsonb))"), {"file": record})
        session.execute(text("UPDATE intents_of_views SET due_at = 0"))
        session.commit()

    async def swept() -> list[str]:
        return [one.path async for one in sweep(engine, LEDGER)]

    assert run_blocking(swept()) == []
    with Session(engine) as session:
        file = session.get_one(Old, 1).file
        assert file is not None
        assert file.get_content() == b"old"
