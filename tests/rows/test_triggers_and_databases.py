"""Triggers and what databases can: TRUNCATE, roles, INSERT OR REPLACE, JSON of others, tables that come later."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    create_engine,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from fastapi_filestore import ConfigurationError, ObstoreBackend, StoredObject, add_ledger
from tests.rows.albums import LEDGER, Album, Base, Photo, Place, place
from tests.rows.conftest import pending
from tests.schema.conftest import triggers_in

__all__ = ["place"]


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_truncate(place: Place) -> None:
    """TRUNCATE, and what it cascades to, dooms every file of the tables."""
    place.add(Album(id=1, cover=pending(), pages=[pending()]), Photo(album_id=1, file=pending()))
    place.run('TRUNCATE "Album\'s" CASCADE')

    assert place.intents() == 3
    assert await place.swept() == 0


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_a_role_without_the_ledger(place: Place) -> None:
    """A role that may delete rows, but knows nothing of the ledger, another search path included, writes intents."""
    place.add_album(cover=pending())
    role = f"clerk_{id(place)}"
    place.run(f"CREATE ROLE {role}", f'GRANT SELECT, DELETE ON "Album\'s" TO {role}')
    place.run(f"SET LOCAL ROLE {role}", "SET LOCAL search_path = pg_temp", 'DELETE FROM public."Album\'s"')

    assert place.intents() == 1
    with pytest.raises(DBAPIError, match="permission denied for function"):
        place.run(
            f"SET LOCAL ROLE {role}",
            "CREATE TEMP TABLE mine (id int)",
            "CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION filestore_photos_lose()",
        )
    place.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


async def test_what_a_sweeper_claimed_can_not_come_back(place: Place) -> None:
    """A row can't come to hold a file that is being deleted: the statement, or its commit, fails."""
    place.add_album(cover=pending())
    place.run('CREATE TABLE kept AS SELECT "the cover" AS file FROM "Album\'s"', 'DELETE FROM "Album\'s"')
    place.run(f"UPDATE {LEDGER.table.name} SET attempts = 1")

    with pytest.raises(DBAPIError, match="is being deleted"):
        place.run("INSERT INTO photos (file) SELECT file FROM kept")
    place.run("DROP TABLE kept")


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_what_a_sweeper_is_about_to_claim_can_not_come_back(place: Place) -> None:
    """A row that waits for a sweeper which is claiming its file fails when the file is claimed."""
    place.add_album(cover=pending())
    place.run('CREATE TABLE kept AS SELECT "the cover" AS file FROM "Album\'s"', 'DELETE FROM "Album\'s"')
    with place.engine.connect() as sweeper, ThreadPoolExecutor() as threads:
        sweeper.execute(text(f"UPDATE {LEDGER.table.name} SET attempts = 1"))
        coming = threads.submit(place.run, "INSERT INTO photos (file) SELECT file FROM kept")
        with place.engine.connect() as watcher:
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not watcher.scalar(waiting) and not coming.done():
                time.sleep(0.01)
        sweeper.commit()
        with pytest.raises(DBAPIError, match="is being deleted"):
            coming.result()
    place.run("DROP TABLE kept")


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_insert_or_replace_on_sqlite(place: Place) -> None:
    """There, a row that INSERT OR REPLACE overwrites loses its objects with recursive triggers on."""
    place.add(Album(id=1, cover=pending()))
    with place.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("PRAGMA recursive_triggers = ON")
        connection.execute(text("INSERT OR REPLACE INTO \"Album's\" (id, title) VALUES (1, 'new')"))

    assert place.intents() == 1


async def test_rows_that_hold_no_files(place: Place) -> None:
    """JSON that is no file, JSON null, and JSON that is none at all, never keep a row from being deleted."""
    null = "'null'"
    wrong = ["'5'", "'[]'", "'{}'", "'[1, \"x\", null]'", "'\"text\"'", null]
    if place.engine.dialect.name == "sqlite":
        wrong.append("'not JSON'")
    for value in wrong:
        place.run(f'INSERT INTO "Album\'s" (title, "the cover", pages) VALUES (\'t\', {value}, {value})')
    place.run('UPDATE "Album\'s" SET "the cover" = NULL', 'DELETE FROM "Album\'s"')

    assert place.intents() == 0


async def test_rows_of_advanced_alchemy(place: Place) -> None:
    """A file without a path has its filename for one, and goes with its row."""
    await place.backend.put("a.txt", b"theirs")
    file = '{"filename"\\: "a.txt", "backend"\\: "rows"}'
    place.run(f"INSERT INTO photos (file) VALUES ('{file}')", "DELETE FROM photos")

    assert place.intents() == 1
    assert await place.swept() == 0


@pytest.mark.parametrize("spelled", ["/a.txt", "a.txt/", "/a.txt/"])
async def test_slashes_that_stores_drop(place: Place, spelled: str) -> None:
    """A slash at the beginning or end of a key, which the row keeps, does not hide its object; a move is one."""
    await place.backend.put("a.txt", b"theirs")
    file = f'{{"filename"\\: "{spelled}", "backend"\\: "rows"}}'
    place.run(f"INSERT INTO photos (id, file) VALUES (1, '{file}')", "UPDATE photos SET id = 2")
    place.run(f"INSERT INTO photos (id, file) VALUES (3, '{file.replace(spelled, 'a.txt')}')")
    place.run("DELETE FROM photos WHERE id = 2")
    place.run(f"UPDATE photos SET file = '{file}'")
    assert place.intents() == 0

    place.run("DELETE FROM photos")
    assert await place.swept() == 0


async def test_tables_created_alone_and_later(place: Place) -> None:
    """A table defined after the ledger, created and dropped by itself, has triggers for as long as it lives."""
    name = "a name so long that a trigger's would not fit on PostgreSQL"
    late = Table(name, Base.metadata, Column("id", Integer, primary_key=True), Column("file", StoredObject("rows")))
    before = triggers_in(place.engine)
    late.create(place.engine)
    late_triggers = triggers_in(place.engine) - before
    late.drop(place.engine)
    Base.metadata.remove(late)

    assert late_triggers
    assert triggers_in(place.engine) == before


async def test_a_database_in_memory(backend: ObstoreBackend) -> None:
    """Where the unit of work can't keep the ledger, a file that it moves is spared all the same."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    place = Place(engine, backend)
    place.add(Album(id=1, cover=pending(b"moved")))
    with Session(engine) as session:
        album = session.get_one(Album, 1)
        session.add(Photo(file=album.cover))
        session.delete(album)
        session.commit()

    assert place.intents() == 0
    assert await place.swept() == 1
    engine.dispose()


def test_a_table_needs_a_primary_key(tmp_path: Path) -> None:
    """Triggers are refused for a table whose rows can't be told apart, by its name."""
    metadata = MetaData()
    add_ledger(metadata, triggers=True)
    Table("bare", metadata, Column("file", StoredObject("rows")))

    with pytest.raises(ConfigurationError, match="bare"):
        metadata.create_all(create_engine(f"sqlite:///{tmp_path}/x.db"))
