"""Tables that hold files, and what else a database can show under their names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, create_engine
from sqlalchemy.orm import DeclarativeBase

from fastapi_filestore import ObstoreBackend, StoredObject, add_ledger
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.holders.holders import places_holding
from fastapi_filestore.orm.ledger.reservations import release_reservations
from tests.rows.conftest import begin_sqlite_properly
from tests.servers.postgres import Databases

PATH = "ab/ab" + "0" * 30


FILE = json.dumps({"backend": "rows", "path": PATH, "filename": "a.txt"})


AT = ("rows", PATH)


class Base(DeclarativeBase):
    """The tables of this file."""


LEDGER = add_ledger(Base.metadata, name="intents_of_views", keep_deleted=3600)


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
