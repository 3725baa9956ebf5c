"""What is purged goes at the commit, although deleted files are kept."""

from datetime import timedelta
from math import inf, nan
from typing import Any

import pytest
from sqlalchemy import MetaData, delete
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Session

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    FileService,
    ObjectNotFoundError,
    StaleFileError,
    add_ledger,
    purge,
)
from fastapi_filestore.storage.paths import generate_upload_path
from tests.rows.cabinet import WEEK, Cabinet, path_of
from tests.rows.conftest import Work, pending
from tests.rows.keeping import HOURS, cabinet

__all__ = ["cabinet"]


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
        await work.delete(await work.get(cabinet.model, 4))
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
    await work.delete(await work.get(cabinet.model, 1))
    await work.commit()
    await work.close()


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
    assert set(await cabinet.intents()) == {upload}  # in case that the client stores once more
    await cabinet.remove(1)

    assert await cabinet.keys() == {path_of(row.file)}
    assert set(await cabinet.intents()) == {path_of(row.file), upload}
