"""With triggers, whatever takes a file out of a row, its object goes: raw SQL, cascades, other programs."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from fastapi_filestore import ConfigurationError, FileObject, ObstoreBackend, StoredObject, add_ledger
from fastapi_filestore.orm.ledger.ledger import DELETION
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.service.sweep.sweep import BATCH, sweep
from tests.rows.conftest import pending
from tests.schema.conftest import triggers_in


class Base(DeclarativeBase):
    """Tables with triggers."""


LEDGER = add_ledger(Base.metadata, triggers=True)


class Album(Base):
    """A row with a file, a list of files, and a name that has to be quoted."""

    __tablename__ = "Album's"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(default="t")
    cover: Mapped[FileObject | None] = mapped_column("the cover", StoredObject(backend="rows"))
    pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="rows", multiple=True))


class Photo(Base):
    """A row that its album takes along."""

    __tablename__ = "photos"

    id: Mapped[int] = mapped_column(primary_key=True)
    album_id: Mapped[int | None] = mapped_column(ForeignKey("Album's.id", ondelete="CASCADE"))
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))


class Place:
    """A database and a store, spoken to in raw SQL."""

    def __init__(self, engine: Engine, backend: ObstoreBackend) -> None:
        self.engine, self.backend = engine, backend

    def add(self, *rows: Base) -> None:
        """Commit rows through the unit of work, which leaves no intents."""
        with Session(self.engine) as session:
            session.add_all(rows)
            session.commit()

    def add_album(self, **files: Any) -> None:
        """Commit an album."""
        self.add(Album(**files))

    def run(self, *statements: str) -> None:
        """Run raw SQL in one transaction."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def intents(self) -> int:
        """Return how many deletion intents there are."""
        with Session(self.engine) as session:
            return len(session.scalars(select(LEDGER.table.c.path).where(LEDGER.table.c.kind == DELETION)).all())

    async def keys(self) -> set[str]:
        """Return the keys of the objects in the store."""
        return {info.path async for info in self.backend.list()}

    async def swept(self, batch: int = BATCH) -> int:
        """Let all intents fall due, sweep, and return how many objects there still are."""
        await release_reservations()
        self.run(f"UPDATE {LEDGER.table.name} SET due_at = 0")
        assert [one.error async for one in sweep(self.engine, LEDGER, batch=batch) if one.error] == []
        return len(await self.keys())


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> Iterator[Place]:
    """Give each test a fresh database whose tables have triggers."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
        event.listen(engine, "connect", lambda connection, record: connection.execute("PRAGMA foreign_keys = ON"))
    else:
        engine = create_engine(request.getfixturevalue("postgres_database").url("postgresql+psycopg"))
    Base.metadata.create_all(engine)
    yield Place(engine, backend)
    Base.metadata.drop_all(engine)
    assert triggers_in(engine) == set()
    engine.dispose()


async def test_raw_delete(place: Place) -> None:
    """A row deleted by raw SQL leaves an intent for each of its files, once, and the sweeper settles them."""
    place.add_album(cover=pending(), pages=[pending(), pending()])
    assert place.intents() == 0

    place.run('DELETE FROM "Album\'s"')

    assert place.intents() == 3
    assert await place.swept() == 0


def _archive(session: Session) -> None:
    session.execute(text('INSERT INTO photos (file) SELECT "the cover" FROM "Album\'s"'))


def _archive_and_delete(session: Session) -> None:
    _archive(session)
    session.delete(session.scalars(select(Album)).one())


def _archive_and_clear(session: Session) -> None:
    _archive(session)
    session.scalars(select(Album)).one().cover = None


def _archive_and_delete_in_bulk(session: Session) -> None:
    _archive(session)
    session.execute(delete(Album))


def _archive_in_a_hook(session: Session) -> None:
    def archive(mapper: Any, connection: Any, row: Album) -> None:
        connection.execute(insert(Base.metadata.tables["photos"]).values(file=row.cover))

    event.listen(Album, "before_delete", archive)
    try:
        session.delete(session.scalars(select(Album)).one())
        session.flush()
    finally:
        event.remove(Album, "before_delete", archive)


@pytest.mark.parametrize(
    "change", [_archive_and_delete, _archive_and_clear, _archive_and_delete_in_bulk, _archive_in_a_hook]
)
async def test_sql_that_copies_a_file_before_the_session_lets_it_go(
    place: Place, change: Callable[[Session], object]
) -> None:
    """The row that it was copied into keeps its bytes, and they go with that one."""
    place.add_album(cover=pending(b"kept"), pages=[pending()])
    with Session(place.engine) as session:
        change(session)
        session.commit()
    with Session(place.engine) as session:
        kept = session.scalars(select(Photo)).one().file
        assert kept is not None
        assert await kept.get_content_async() == b"kept"
    place.run("DELETE FROM photos", 'DELETE FROM "Album\'s"')

    assert await place.swept() == 0


async def test_intents_of_triggers_fall_due_like_any_other(place: Place) -> None:
    """A trigger's intent is not due at once, and is within the minute."""
    place.add_album(cover=pending())
    place.run('DELETE FROM "Album\'s"')

    assert [one async for one in sweep(place.engine, LEDGER)] == []
    place.run(f"UPDATE {LEDGER.table.name} SET due_at = due_at - 60.1")
    assert len([one async for one in sweep(place.engine, LEDGER)]) == 1


async def test_raw_update(place: Place) -> None:
    """Raw SQL that sets a file to NULL, shortens a list and touches other columns dooms what is no longer held only."""
    place.add_album(cover=pending(), pages=[pending(), pending(), pending()])
    drop_last = "json_remove(pages, '$[2]')" if place.engine.dialect.name == "sqlite" else "pages - 2"
    place.run('UPDATE "Album\'s" SET title = title, "the cover" = "the cover"')
    assert place.intents() == 0

    place.run(f'UPDATE "Album\'s" SET "the cover" = NULL, pages = {drop_last}')

    assert place.intents() == 2
    assert await place.swept() == 2


async def test_cascade(place: Place) -> None:
    """Rows that ON DELETE CASCADE deletes, by raw SQL or beneath the unit of work, lose their objects."""
    place.add(Album(id=1), Photo(album_id=1, file=pending()), Photo(album_id=1, file=pending()))
    with Session(place.engine) as session:
        session.delete(session.get_one(Album, 1))
        session.commit()

    assert place.intents() == 2
    assert await place.swept() == 0


async def test_rollback(place: Place) -> None:
    """An intent is part of the transaction that made it."""
    place.add_album(cover=pending())
    with place.engine.connect() as connection:
        connection.execute(text('DELETE FROM "Album\'s"'))
        connection.rollback()

    assert place.intents() == 0
    assert await place.swept() == 1


async def test_a_move_by_delete_and_insert(place: Place) -> None:
    """A file that raw SQL takes out of one row and puts into another, in one transaction, lives on."""
    place.add_album(cover=pending())
    place.run(
        'CREATE TABLE kept AS SELECT "the cover" AS file FROM "Album\'s"',
        'DELETE FROM "Album\'s"',
        "INSERT INTO photos (file) SELECT file FROM kept",
        "DROP TABLE kept",
    )

    assert place.intents() == 0
    assert await place.swept() == 1


async def test_a_move_by_update(place: Place) -> None:
    """A file that one statement moves between the columns of a row lives on."""
    wrap = "json_array" if place.engine.dialect.name == "sqlite" else "jsonb_build_array"
    json = 'json("the cover")' if place.engine.dialect.name == "sqlite" else '"the cover"'
    place.add_album(cover=pending())
    place.run(f'UPDATE "Album\'s" SET pages = {wrap}({json}), "the cover" = NULL')

    assert place.intents() == 0
    assert await place.swept() == 1


async def test_moves_in_any_order(place: Place) -> None:
    """Insert before delete, and a swap: PostgreSQL sees at the commit, and the sweeper on SQLite, what rows hold."""
    place.add(Album(id=1, cover=pending(b"1")), Album(id=2, cover=pending(b"2")))
    swap = 'SELECT a.id, b."the cover" AS file FROM "Album\'s" a JOIN "Album\'s" b ON a.id <> b.id'
    place.run(
        f'UPDATE "Album\'s" SET "the cover" = swap.file FROM ({swap}) AS swap WHERE swap.id = "Album\'s".id',
        'INSERT INTO photos (file) SELECT "the cover" FROM "Album\'s" WHERE id = 1',
        'DELETE FROM "Album\'s" WHERE id = 1',
    )

    assert place.intents() == 0 or place.engine.dialect.name == "sqlite"
    assert await place.swept() == 2
    assert place.intents() == 0


async def test_a_file_that_raw_sql_takes_over(place: Place) -> None:
    """A session that deletes a row spares the file that raw SQL of the same transaction puts into another one."""
    place.add(Album(id=1, cover=pending(b"taken over")))
    with Session(place.engine) as session:
        album = session.get_one(Album, 1)
        file = session.execute(text('SELECT "the cover" FROM "Album\'s"')).scalar_one()
        session.delete(album)
        session.flush()
        value = file if isinstance(file, str) else json.dumps(file)
        session.execute(text("INSERT INTO photos (file) VALUES (:file)"), {"file": value})
        session.commit()

    assert len(await place.keys()) == 1
    assert await place.swept() == 1


async def test_files_that_moved_hide_no_garbage(place: Place) -> None:
    """A sweeper whose first batches hold nothing but files that moved goes on to what is to be deleted."""
    place.add(*(Album(id=number, cover=pending()) for number in range(4)))
    move = 'INSERT INTO photos (file) SELECT "the cover" FROM "Album\'s" WHERE id < 3'
    place.run(move, 'DELETE FROM "Album\'s" WHERE id < 3', 'DELETE FROM "Album\'s"')

    assert await place.swept(batch=1) == 3
    assert place.intents() == 0


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_a_file_that_came_and_went_again(place: Place) -> None:
    """A row that comes to hold a file and loses it in the same transaction does not spare it."""
    place.add(Album(id=1, cover=pending()))
    place.run(
        'INSERT INTO photos (id, file) SELECT 7, "the cover" FROM "Album\'s"',
        'DELETE FROM "Album\'s"',
        "UPDATE photos SET id = 8",
        "DELETE FROM photos",
    )

    assert place.intents() == 1
    assert await place.swept() == 0


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
