"""With `keep_deleted` an object outlasts its row: a database may come back from yesterday, or a row be undeleted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, create_engine, delete, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    FileService,
    ObjectNotFoundError,
    ObstoreBackend,
    SharedFileError,
    StaleFileError,
    add_ledger,
    purge,
)
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.sessions import run_on_engine
from fastapi_filestore.storage.paths import generate_upload_path
from fastapi_filestore.testing import assert_no_orphans
from tests.compiled import compiled_for
from tests.rows.cabinet import KINDS, PLAIN, TRIGGERED, WEEK, Cabinet, Family, path_of
from tests.rows.conftest import Work, begin_sqlite_properly, pending
from tests.servers.postgres import Databases

HOURS = 7 * 24


@pytest.fixture(params=KINDS)
async def cabinet(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> AsyncIterator[Cabinet]:
    """Give each test a fresh database of every kind."""
    kind = TRIGGERED if "triggers" in request.param else PLAIN
    engine = make_engine(request, tmp_path, kind)
    cabinet = Cabinet(engine, kind, backend)
    if cabinet.plain.dialect.name == "sqlite":
        begin_sqlite_properly(cabinet.plain)
        await run_on_engine(cabinet.plain, kind.base.metadata.create_all)
    yield cabinet
    await release_reservations()
    await (engine.dispose() if isinstance(engine, AsyncEngine) else asyncio.to_thread(engine.dispose))


def make_engine(request: pytest.FixtureRequest, folder: Path, kind: Family) -> Engine | AsyncEngine:
    """Return an engine of a kind with a database of its own."""
    options: dict[str, Any] = {}
    if request.param.startswith("sqlite-async"):
        url = f"sqlite+aiosqlite:///{folder}/kept.db"
    elif request.param.startswith("sqlite"):
        url, options = f"sqlite:///{folder}/kept.db", {"connect_args": {"check_same_thread": False}}
    else:
        databases: Databases = request.getfixturevalue("postgres_databases")
        database = databases.copy("kept-triggers" if kind is TRIGGERED else "kept", kind.base.metadata.create_all)
        url = database.url("postgresql+asyncpg" if "async" in request.param else "postgresql+psycopg")
    make: Any = create_async_engine if "async" in request.param else create_engine
    engine: Engine | AsyncEngine = make(url, execution_options=compiled_for(url), **options)
    return engine


async def test_deleted_files_stay(cabinet: Cabinet) -> None:
    """What leaves a row stays until it falls due, by the sweeper's hand alone, and an audit knows."""
    row = await cabinet.add(file=pending(b"1"), pages=[pending(b"2"), pending(b"3")])
    paths = [path_of(file) for file in (row.file, *row.pages)]
    await cabinet.do(lambda session: setattr(session.get_one(cabinet.model, 1), "pages", [pending(b"4")]))
    assert set(await cabinet.intents()) == set(paths[1:])
    await cabinet.remove(1)

    assert set(paths) < set(await cabinet.intents())
    assert set((await cabinet.intents()).values()) == {(HOURS, 0)}
    assert len(await cabinet.keys()) == 4
    assert await cabinet.sweep() == []
    await cabinet.backend.put("stray", b"stray")
    assert [finding.path for finding in await cabinet.audit()] == ["stray"]
    await cabinet.backend.delete("stray")
    async with cabinet.work() as work:
        await assert_no_orphans(work.session, cabinet.backend, cabinet.model)

    await cabinet.let_fall_due()
    assert {swept.error for swept in await cabinet.sweep()} == {None}
    assert (await cabinet.keys(), await cabinet.intents()) == (set(), {})


async def test_bulk_statements_keep_too(cabinet: Cabinet) -> None:
    """So do bulk statements of a session."""
    row = await cabinet.add(file=pending())
    await cabinet.do(lambda session: session.execute(delete(cabinet.model)))

    assert await cabinet.intents() == {path_of(row.file): (HOURS, 0)}
    assert len(await cabinet.keys()) == 1


async def test_what_was_never_committed_goes_at_once(cabinet: Cabinet) -> None:
    """Bytes of a transaction that is rolled back, or that replaces them itself, are in no row that could come back."""
    async with cabinet.work() as work:
        await work.add(cabinet.model(file=pending(b"rolled back")))
        await work.flush()
        await work.rollback()
        row = cabinet.model(file=pending(b"replaced"))
        await work.add(row)
        await work.flush()
        row.file = pending(b"stays")
        await work.commit()

    assert await cabinet.keys() == {path_of(row.file)}
    assert await cabinet.intents() == {}


async def test_a_row_that_comes_back(cabinet: Cabinet) -> None:
    """The sweeper asks the rows: one that came back, whoever wrote it, keeps its file."""
    row = await cabinet.add(file=pending(b"1"), pages=[pending(b"2")])
    await cabinet.add(file=pending(b"gone"))
    backup = await copy_of_rows(cabinet)
    await cabinet.remove(1)
    await cabinet.remove(2)
    for value in backup[:1]:
        await write_raw(cabinet, value, triggers=False)
    await cabinet.let_fall_due()

    assert len(await cabinet.sweep()) == 1
    assert await cabinet.keys() == {path_of(row.file), path_of(row.pages[0])}
    assert await cabinet.intents() == {}
    assert await (await cabinet.rows())[0].file.get_content_async() == b"1"


async def copy_of_rows(cabinet: Cabinet) -> list[dict[str, Any]]:
    """Return what rows say, as a backup has it."""
    columns = [
        type_coerce(column, cabinet.json(None).type) if column.name != "id" else column
        for column in cabinet.family.table.c
    ]
    return await run_on_engine(
        cabinet.plain,
        lambda connection: [
            dict(zip(("id", "file", "pages"), row, strict=True)) for row in connection.execute(select(*columns))
        ],
    )


async def write_raw(cabinet: Cabinet, value: dict[str, Any], *, triggers: bool) -> None:
    """Write a row of a backup; without triggers where it would not be seen."""
    values = {name: each if name == "id" else cabinet.json(each) for name, each in value.items()}
    statements: list[Any] = [cabinet.family.table.insert().values(values)]
    if not triggers and cabinet.family is TRIGGERED:
        keep = select(cabinet.family.ledger.table)
        saved = await run_on_engine(cabinet.plain, lambda connection: connection.execute(keep).mappings().all())
        await cabinet.execute(*statements)
        await cabinet.execute(delete(cabinet.family.ledger.table))
        await cabinet.execute(*(cabinet.family.ledger.table.insert().values(dict(each)) for each in saved))
    else:
        await cabinet.execute(*statements)


@pytest.mark.parametrize("cabinet", KINDS[4:], indirect=True)
async def test_raw_sql_takes_a_file_back(cabinet: Cabinet) -> None:
    """Where there are triggers, raw SQL that deletes a row keeps its file, and raw SQL that writes it again has it."""
    await cabinet.add(file=pending(b"1"), pages=[pending(b"2")])
    (backup,) = await copy_of_rows(cabinet)
    await cabinet.execute(delete(cabinet.family.table))
    assert set((await cabinet.intents()).values()) == {(HOURS, 0)}
    await write_raw(cabinet, backup, triggers=True)

    assert await cabinet.intents() == {}
    assert await (await cabinet.rows())[0].file.get_content_async() == b"1"


async def test_undelete(cabinet: Cabinet) -> None:
    """A row may take a deleted file back, as it was or by its place; when that row goes, it is kept anew."""
    row = await cabinet.add(file=pending(b"1"), pages=[pending(b"2")])
    file, page = row.file, row.pages[0]
    await cabinet.remove(1)
    await cabinet.execute(update(cabinet.family.ledger.table).values(due_at=0))

    again = await cabinet.add(file=file, pages=[FileObject("rows", "b.txt", path=path_of(page))])
    assert await cabinet.intents() == {}
    assert [await each.get_content_async() for each in (again.file, *again.pages)] == [b"1", b"2"]
    await cabinet.let_fall_due()
    assert await cabinet.sweep() == []
    await cabinet.remove(again.id)
    assert set((await cabinet.intents()).values()) == {(HOURS, 0)}
    assert len(await cabinet.keys()) == 2


async def test_an_undelete_that_is_undone(cabinet: Cabinet) -> None:
    """A file that is taken back and lost again, by a rollback, a savepoint or a second change, is kept as before."""
    row = await cabinet.add(file=pending(b"1"))
    file = row.file
    await cabinet.remove(1)
    kept = {path_of(file): (HOURS, 0)}
    async with cabinet.work() as work:
        await work.add(cabinet.model(file=file))
        await work.flush()
        await work.rollback()
    assert await cabinet.intents() == kept

    def in_a_savepoint(session: Session) -> None:
        savepoint = session.begin_nested()
        session.add(cabinet.model(file=file))
        session.flush()
        savepoint.rollback()

    await cabinet.do(in_a_savepoint)
    assert await cabinet.intents() == kept

    def and_lose_it(session: Session) -> None:
        row = cabinet.model(file=file)
        session.add(row)
        session.flush()
        row.file = None

    await cabinet.do(and_lose_it)
    assert await cabinet.intents() == kept
    assert len(await cabinet.keys()) == 1


async def test_what_a_sweeper_claimed_is_gone(cabinet: Cabinet) -> None:
    """A file whose deletion has begun can't be taken back."""
    row = await cabinet.add(file=pending(b"1"))
    await cabinet.remove(1)
    await cabinet.execute(update(cabinet.family.ledger.table).values(attempts=1))

    with pytest.raises(StaleFileError):
        await cabinet.add(file=row.file)
    assert await cabinet.rows() == []


async def test_one_file_taken_back_twice(cabinet: Cabinet) -> None:
    """One row may have it."""
    row = await cabinet.add(file=pending(b"1"))
    await cabinet.remove(1)
    await cabinet.add(file=FileObject("rows", "a.txt", path=path_of(row.file)))

    with pytest.raises(SharedFileError):
        await cabinet.add(file=FileObject("rows", "b.txt", path=path_of(row.file)))
    assert len(await cabinet.rows()) == 1
    assert len(await cabinet.keys()) == 1


async def test_a_file_of_a_row_that_came_back_moves(cabinet: Cabinet) -> None:
    """A file that a row holds although its deletion is intended moves to another row, and is kept with that."""
    row = await cabinet.add(file=pending(b"1"))
    (backup,) = await copy_of_rows(cabinet)
    await cabinet.remove(1)
    await write_raw(cabinet, backup, triggers=False)

    def move(session: Session) -> None:
        old = session.get_one(cabinet.model, 1)
        session.add(cabinet.model(id=2, file=old.file))
        old.file = None

    await cabinet.do(move)
    await cabinet.let_fall_due()
    await cabinet.sweep()
    assert await cabinet.keys() == {path_of(row.file)}
    assert await cabinet.intents() == {}


async def test_purge(cabinet: Cabinet) -> None:
    """`delete(purge=True)` erases the files of that row at the commit; of others deleted beside it, none."""
    rows = [await cabinet.add(file=pending(bytes([number])), pages=[pending()]) for number in range(3)]
    async with cabinet.work() as work:
        service = FileService(work.session, model=cabinet.model)
        await service.delete(1)
        await service.delete(2, purge=True)
        await service.delete(3)
        assert len(await cabinet.keys()) == 6
        await service.commit()

    kept = {path_of(file) for row in (rows[0], rows[2]) for file in (row.file, *row.pages)}
    assert await cabinet.keys() == kept
    assert await cabinet.intents() == dict.fromkeys(kept, (HOURS, 0))


async def test_purge_of_a_file_in_a_list(cabinet: Cabinet) -> None:
    """`remove(purge=True)` erases what it takes out of a list, and `remove` keeps it."""
    row = await cabinet.add(pages=[pending(b"1"), pending(b"2"), pending(b"3")])
    async with cabinet.work() as work:
        service = FileService(work.session, model=cabinet.model)
        await service.remove(1, row.pages[0])
        await service.remove(1, row.pages[1], purge=True)
        await service.commit()

    assert await cabinet.keys() == {path_of(row.pages[0]), path_of(row.pages[2])}
    assert set(await cabinet.intents()) == {path_of(row.pages[0])}


async def test_purge_of_a_transaction(cabinet: Cabinet) -> None:
    """`purge(session)` is about all that the transaction takes out of rows, by bulk statements and before it, too."""
    for number in range(5):
        await cabinet.add(file=pending(bytes([number])))

    def change(session: Session) -> None:
        session.delete(session.get_one(cabinet.model, 1))
        session.flush()
        purge(session)
        session.execute(delete(cabinet.model).where(cabinet.model.id == 2))
        session.get_one(cabinet.model, 3).file = None

    await cabinet.do(change)
    async with cabinet.work() as work:
        purge(work.session)
        await work.do(lambda session: session.delete(session.get_one(cabinet.model, 4)))
        await work.commit()
    (row,) = [row for row in await cabinet.rows() if row.file]
    assert await cabinet.keys() == {path_of(row.file)}
    assert await cabinet.intents() == {}
    await cabinet.remove(row.id)
    assert await cabinet.keys() == {path_of(row.file)}


async def test_purge_in_a_savepoint(cabinet: Cabinet) -> None:
    """In a savepoint it is about that alone, and gone with it when it is rolled back."""
    rows = [await cabinet.add(file=pending(bytes([number]))) for number in range(3)]

    def change(session: Session) -> None:
        with session.begin_nested():
            purge(session)
            session.delete(session.get_one(cabinet.model, 1))
        savepoint = session.begin_nested()
        purge(session)
        savepoint.rollback()
        session.delete(session.get_one(cabinet.model, 2))

    await cabinet.do(change)
    assert await cabinet.keys() == {path_of(row.file) for row in rows[1:]}
    assert set(await cabinet.intents()) == {path_of(rows[1].file)}


async def test_what_is_purged_is_not_taken_back(cabinet: Cabinet) -> None:
    """A file that is to be erased can't be taken back, and the sweeper erases it if its store was down."""
    row = await cabinet.add(file=pending(b"1"))

    def erase(session: Session) -> None:
        purge(session)
        session.delete(session.get_one(cabinet.model, 1))

    await cabinet.do(erase)
    assert await cabinet.keys() == set()
    with pytest.raises(ObjectNotFoundError):
        await cabinet.add(file=FileObject("rows", "a.txt", path=path_of(row.file)))

    row = await cabinet.add(file=pending(b"2"))
    await cabinet.execute(
        cabinet.family.ledger.table.insert().values(
            backend="rows", path=path_of(row.file), kind="delete", due_at=0, attempts=1
        ),
        delete(cabinet.family.table),
    )
    with pytest.raises(StaleFileError):
        await cabinet.add(file=row.file)
    await cabinet.sweep()
    assert await cabinet.keys() == set()


async def test_a_session_on_a_connection(cabinet: Cabinet) -> None:
    """Inside a transaction that somebody else began, files are kept as well, and the ledger knows of them."""
    if isinstance(cabinet.engine, AsyncEngine):
        async with cabinet.engine.connect() as connection, connection.begin():
            await delete_in(cabinet, Work(AsyncSession(connection)))
    else:
        with cabinet.engine.connect() as plain, plain.begin():
            await delete_in(cabinet, Work(Session(plain)))

    assert set((await cabinet.intents()).values()) == {(HOURS, 0)}
    assert len(await cabinet.keys()) == 1


async def delete_in(cabinet: Cabinet, work: Work) -> None:
    """Delete a row in a session."""
    await cabinet.add(file=pending())
    await work.do(lambda session: session.delete(session.get_one(cabinet.model, 1)))
    await work.commit()
    await work.close()


# -- what is given -------------------------------------------------------------------------------------


def test_seconds_or_a_timedelta() -> None:
    """`keep_deleted` is given in seconds or as a timedelta, and triggers write it as well."""
    assert add_ledger(MetaData(), keep_deleted=90).keep_deleted == 90
    assert add_ledger(MetaData(), keep_deleted=WEEK).keep_deleted == 7 * 24 * 3600
    assert add_ledger(MetaData()).keep_deleted == 0


@pytest.mark.parametrize("wrong", [timedelta(days=-1), -1, nan, inf, "7", None, True])
def test_what_is_no_time(wrong: Any) -> None:
    """What is no time from 0 on is refused where it is written."""
    with pytest.raises(ConfigurationError, match=r"keep_deleted is .*: give the seconds, or a timedelta"):
        add_ledger(MetaData(), keep_deleted=wrong)


def test_a_ledger_beside_a_class() -> None:
    """A ledger belongs to a metadata; who gives the class that has it is told what to say."""

    class Base(DeclarativeBase):
        pass

    wrong: Any = Base
    with pytest.raises(ConfigurationError, match=r"of a MetaData, not of .*Base.*: Base\.metadata"):
        add_ledger(wrong)


async def test_what_a_client_stored_is_not_kept(cabinet: Cabinet) -> None:
    """When a row has its copy, it goes at once: the copy is what is kept when the row goes."""
    await cabinet.backend.put(upload := generate_upload_path(60), b"client")
    file = await FileObject("rows", "a.txt", path=upload).confirm_async()
    row = await cabinet.add(file=file)
    assert await cabinet.keys() == {path_of(row.file)}
    assert await cabinet.intents() == {}
    await cabinet.remove(1)

    assert await cabinet.keys() == {path_of(row.file)}
    assert set(await cabinet.intents()) == {path_of(row.file)}
